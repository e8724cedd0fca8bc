/** Where the worker entries are, both in the checkout (TypeScript through tsx) and in the build. */
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { isSource } from '../lib/package-info.ts';

/** Entry files in `workers/`. */
export type WorkerEntry = 'logs' | 'metrics' | 'state' | 'network' | 'api' | 'jobs' | 'images' | 'spawner';

/** URL of a worker's entry file. */
export function entryUrl(entry: WorkerEntry): URL {
  return new URL(`../../workers/${entry}.${isSource ? 'ts' : 'js'}`, import.meta.url);
}

/**
 * Starts a worker thread. A `.ts` entry needs tsx registered inside the new thread: hooks of the parent do not reach
 * it on Node 20.
 */
export function spawnWorker(entry: WorkerEntry, options: WorkerOptions): Worker {
  const url = entryUrl(entry);
  if (!isSource) return new Worker(url, { ...options, execArgv: [] });
  const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(url.href)}); })`;
  return new Worker(boot, { ...options, eval: true, execArgv: [] });
}
