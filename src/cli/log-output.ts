/** Log records on their way from the daemon to stdout. */
import { once } from 'node:events';
import type { LogQuery } from '../protocol/logs.ts';
import type { DaemonClient } from './client.ts';
import type { CliContext } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { toMonocoreError } from './http.ts';
import { catchInterrupt } from './interrupt.ts';
import { RecordDecorator } from './record-decorator.ts';

/**
 * Writes the records that `query` asks for: byte for byte into files and pipes, coloured on a terminal. At the pace of
 * the reader, so that a slow one costs no memory.
 *
 * @returns the exit code; `interrupted` when Ctrl-C ended it
 * @throws MonocoreError what the daemon answered; `DaemonUnreachable` when it ended in the middle
 */
export async function writeLogs(context: CliContext, client: DaemonClient, query: LogQuery): Promise<number> {
  const { stdout, colors, paths } = context;
  const interrupt = catchInterrupt();
  const decorator = stdout.isTTY ? new RecordDecorator(colors) : null;

  async function write(bytes: Buffer): Promise<void> {
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  }

  try {
    for await (const chunk of await client.logs(query, interrupt.signal)) {
      await write(decorator ? decorator.push(chunk) : chunk);
    }
    if (decorator) await write(decorator.end());
    return EXIT.done;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    throw toMonocoreError(error, paths.socket);
  } finally {
    interrupt.release();
  }
}
