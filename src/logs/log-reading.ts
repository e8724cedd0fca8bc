/** Reading logs from the main thread. */
import { MessageChannel } from 'node:worker_threads';
import { MonocoreError } from '../lib/errors.ts';
import { fromWireError } from '../lib/wire-error.ts';
import type { LogQuery, LogReadEvent } from '../protocol/log-files/queries.ts';
import type { LogsApi } from '../protocol/logs.ts';
import { type Remote, transfer } from '../threads/rpc.ts';

/**
 * Gives the records that `query` asks for to `onChunk`, as in `LogReadEvent`; the bytes are gone when that returns. Main
 * thread.
 *
 * @param signal ends the reading, which then resolves
 * @throws MonocoreError of the log worker, `ThreadDied` when that ends before it has delivered
 */
export async function readLogs(
  api: Remote<LogsApi>,
  query: LogQuery,
  onChunk: (bytes: Uint8Array) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  let onAbort = (): void => {};
  try {
    const done = new Promise<void>((resolve, reject) => {
      port1.on('message', (event: LogReadEvent) => {
        if (event.type === 'chunk') {
          onChunk(event.bytes);
          const { buffer } = event.bytes;
          port1.postMessage(buffer, [buffer]);
        } else if (event.type === 'end') resolve();
        else reject(fromWireError(event.error));
      });
      port1.on('close', () => reject(new MonocoreError('ThreadDied', 'the log worker ended while it was read from')));
      onAbort = resolve;
      signal?.addEventListener('abort', onAbort);
    });
    done.catch(() => {});
    await api.read(query, transfer(port2, [port2]));
    if (!signal?.aborted) await done;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    port1.close();
  }
}

/** The records that `query` asks for, without their newlines; all of them are in memory. As {@link readLogs}. */
export async function readLines(api: Remote<LogsApi>, query: LogQuery): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  await readLogs(api, query, (bytes) => chunks.push(bytes.slice()));
  return Buffer.concat(chunks).toString('utf8').split('\n').slice(0, -1);
}
