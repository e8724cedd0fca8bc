/** Reading logs from the main thread. */
import { MessageChannel } from 'node:worker_threads';
import { MonocoreError } from '../errors.ts';
import type { LogQuery, LogReadEvent, LogsApi } from '../protocol/logs.ts';
import { fromWireError } from '../protocol/wire-error.ts';
import { type Remote, transfer } from './comlink.ts';

/**
 * The records that `query` asks for, without their newlines; all of them are in memory. Main thread.
 *
 * @throws MonocoreError of the log worker, `ThreadDied` when that ends before it has delivered
 */
export async function readLines(api: Remote<LogsApi>, query: LogQuery): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  const { port1, port2 } = new MessageChannel();
  try {
    const done = new Promise<void>((resolve, reject) => {
      port1.on('message', (event: LogReadEvent) => {
        if (event.type === 'chunk') {
          const { buffer } = event.bytes;
          chunks.push(event.bytes.slice());
          port1.postMessage(buffer, [buffer]);
        } else if (event.type === 'end') resolve();
        else reject(fromWireError(event.error));
      });
      port1.on('close', () => reject(new MonocoreError('ThreadDied', 'the log worker ended while it was read from')));
    });
    done.catch(() => {});
    await api.read(query, transfer(port2, [port2]));
    await done;
  } finally {
    port1.close();
  }
  return Buffer.concat(chunks).toString('utf8').split('\n').slice(0, -1);
}
