/**
 * Entry files of worker threads: finds their URLs, both in the sources (TypeScript through tsx) and in the build, and
 * starts them.
 */
import { type MessagePort, parentPort, Worker, type WorkerOptions, workerData } from 'node:worker_threads';
import { isSource } from '../lib/package-info.ts';
import { expose } from './rpc.ts';

export type WorkerEntry = 'logs' | 'metrics' | 'state' | 'network' | 'api' | 'jobs' | 'images' | 'spawner';

export function entryUrl(entry: WorkerEntry): URL {
  return new URL(`../../workers/${entry}.${isSource ? 'ts' : 'js'}`, import.meta.url);
}

/**
 * Starts a worker thread. A `.ts` entry registers tsx itself, because on Node 20 workers do not inherit the parent's
 * hooks.
 */
export function spawnWorker(entry: WorkerEntry, options: WorkerOptions): Worker {
  const url = entryUrl(entry);
  if (!isSource) return new Worker(url, { ...options, execArgv: [] });
  const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(url.href)}); })`;
  return new Worker(boot, { ...options, eval: true, execArgv: [] });
}

/** Initial data of a worker. */
export interface WorkerBoot<Data> {
  readonly data: Data;
  /** Port for messages to the main thread that do not answer a call. */
  readonly events: MessagePort;
}

/** First message of a worker, after which it answers calls. */
export const READY = 'monocore:ready';
/** Message that makes a worker throw an uncaught error. */
export const CRASH = 'monocore:crash';

/**
 * Exposes the API returned by `build` and reports ready. Called once, by the entry file of a worker. If `build` throws,
 * the worker ends, and the main thread receives the message.
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
