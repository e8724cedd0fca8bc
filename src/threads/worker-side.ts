/** How a worker's entry file starts: the other half of `service.ts`. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { expose } from './rpc.ts';

/** What the main thread hands to a worker at its start. */
export interface WorkerBoot<Data> {
  readonly data: Data;
  /** For messages to the main thread that answer no call. */
  readonly events: MessagePort;
}

/** First message of a worker: it answers calls from now on. */
export const READY = 'monocore:ready';
/** Message to a worker: it throws what nobody catches. */
export const CRASH = 'monocore:crash';

/**
 * Exposes the api that `build` returns to the main thread and reports ready. Called once, by a worker's entry file.
 * What `build` throws ends the worker; the main thread sees its message.
 */
export async function serve<Api extends object, Data>(
  build: (boot: WorkerBoot<Data>) => Api | Promise<Api>,
): Promise<void> {
  if (!parentPort) throw new Error('this file is the entry of a worker thread');
  const api = await build(workerData as WorkerBoot<Data>);
  expose(api, parentPort);
  parentPort.on('message', (message) => {
    if (message === CRASH) throw new Error('it was told to crash');
  });
  parentPort.postMessage(READY);
}
