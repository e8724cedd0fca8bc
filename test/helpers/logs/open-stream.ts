/** Opens a stream as the main thread does. */

import { fromWireError } from '../../../src/lib/errors.ts';
import type { LogsApi, StreamSource } from '../../../src/protocol/logs.ts';

/** Throws what the log worker answers. */
export async function openStream(api: Pick<LogsApi, 'openStreams'>, source: StreamSource): Promise<void> {
  const [error] = await api.openStreams([source]);
  if (error) throw fromWireError(error);
}
