/** Opens a stream as the main thread does. */
import { closeSync } from 'node:fs';
import { fromWireError } from '../../../src/lib/errors.ts';
import type { LogsApi, StreamSource } from '../../../src/protocol/logs.ts';

/** Throws what the log worker answers. */
export async function openStream(api: Pick<LogsApi, 'openStreams'>, source: StreamSource): Promise<void> {
  const [error] = await api.openStreams([source]);
  if (!error) return;
  closeSync(source.fd);
  throw fromWireError(error);
}
