/** Reading logs from the main thread. */
import { MessageChannel } from 'node:worker_threads';
import { MonocoreError } from '../errors.ts';
import type { LogQuery, LogReadEvent, LogsApi } from '../protocol/logs.ts';
import { type Remote, transfer } from './comlink.ts';

/**
 * Gives all that `query` asks for to `onChunk`; resolves at the end. Main thread.
 *
 * @throws MonocoreError `Internal` when files cannot be read, `ThreadDied` when the worker ends before the reader does
 */
export async function readLogs(
  api: Remote<LogsApi>,
  query: LogQuery,
  onChunk: (bytes: Uint8Array) => void,
): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  try {
    const done = new Promise<void>((resolve, reject) => {
      port1.on('message', (event: LogReadEvent) => {
        if (event.type === 'chunk') {
          onChunk(event.bytes);
          port1.postMessage('more');
        } else if (event.type === 'end') resolve();
        else reject(new MonocoreError('Internal', event.message));
      });
      port1.on('close', () => reject(new MonocoreError('ThreadDied', 'the log worker ended while it was read from')));
    });
    done.catch(() => {});
    await api.read(query, transfer(port2, [port2]));
    await done;
  } finally {
    port1.close();
  }
}
