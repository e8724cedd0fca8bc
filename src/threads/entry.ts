/** Entries of worker threads: their URLs, both from source (TypeScript through tsx) and built, and their start. */
import { type MessagePort, parentPort, Worker, type WorkerOptions, workerData } from 'node:worker_threads';
import { isSource } from '../lib/package-info.ts';
import { expose } from './rpc.ts';

export type WorkerEntry = 'logs' | 'metrics' | 'state' | 'network' | 'api' | 'jobs' | 'images' | 'spawner';

export function entryUrl(entry: WorkerEntry): URL {
  return new URL(`../../workers/${entry}.${isSource ? 'ts' : 'js'}`, import.meta.url);
}

/** Starts a worker thread. A `.ts` entry registers tsx itself: on Node 20 the parent's hooks do not apply in it. */
export function spawnWorker(entry: WorkerEntry, options: WorkerOptions): Worker {
  const url = entryUrl(entry);
  if (!isSource) return new Worker(url, { ...options, execArgv: [] });
  const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(url.href)}); })`;
  return new Worker(boot, { ...options, eval: true, execArgv: [] });
}

/** Start data of a worker. */
export interface WorkerBoot<Data> {
  readonly data: Data;
  /** For messages to the main thread that answer no call. */
  readonly events: MessagePort;
}

/** First message of a worker, which answers calls from now on. */
export const READY = 'monocore:ready';
/** Message that makes a worker throw an uncaught error. */
export const CRASH = 'monocore:crash';

/**
 * Exposes the api that `build` returns and reports ready. Called once, by a worker's entry file. An error of `build` ends the
 * worker, and the main thread gets its message.
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
