/** The piscina pools for finite jobs: whatever costs more than a millisecond and is not a stream. */
import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { MonocoreError } from '../lib/errors.ts';
import { fromWireError } from '../lib/wire-error.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import type { Job, JobOutcome, JobResult } from '../protocol/jobs.ts';
import { entryUrl, type WorkerEntry } from './entry.ts';

/** Jobs come in bursts at a start, and a thread costs 10 MB: idle ones end soon. */
const IDLE_TIMEOUT_MS = 2000;

/** Where a job runs: threads of its kind wait for no others. */
type PoolName = 'jobs' | 'searches' | 'images';

const POOL_OF: Readonly<Record<Job['type'], PoolName>> = {
  'build-initramfs': 'jobs',
  'compress-log': 'jobs',
  'prune-logs': 'jobs',
  'search-logs': 'searches',
  'pull-image': 'images',
  'load-images': 'images',
  'remove-images': 'images',
  'prune-images': 'images',
  'build-root-image': 'images',
  'list-images': 'images',
};

const POOLS: Readonly<Record<PoolName, { readonly entry: WorkerEntry; readonly maxThreads: number }>> = {
  jobs: { entry: 'jobs', maxThreads: Math.max(1, availableParallelism() - 1) },
  /**
   * Searches have threads of their own, so that they keep no service from its start: what a search costs is up to its
   * user. With two of them, one that is stuck does not stop the others.
   */
  searches: { entry: 'jobs', maxThreads: 2 },
  /**
   * Downloads take minutes, most of which they wait, and must keep no log from being compressed. One job changes the
   * store at a time; the second thread lists images meanwhile.
   */
  images: { entry: 'images', maxThreads: 2 },
};

/** How to run a job. */
export interface JobOptions {
  /** Calls the job off; the thread that runs it is ended, whatever it does. */
  readonly signal?: AbortSignal;
  /** Ports in the job, to be handed over with it. */
  readonly ports?: readonly MessagePort[];
}

/** Runs jobs off the main thread. Main thread only. */
export class JobPool {
  readonly #pools = new Map<PoolName, Piscina>();
  #closed = false;

  /**
   * Runs a job; threads are started when there is something to do.
   *
   * @throws what the job throws; MonocoreError `Aborted` when `signal` fires or the pool is closed
   */
  async run<J extends Job>(job: J, { signal, ports = [] }: JobOptions = {}): Promise<JobResult<J>> {
    // piscina would start threads again for a job that comes after its end.
    if (this.#closed) throw new MonocoreError('Aborted', 'the daemon is ending');
    const outcome: JobOutcome<JobResult<J>> = await this.#poolFor(job)
      .run(job, { transferList: [...ports], ...(signal ? { signal } : {}) })
      .catch((cause: unknown) => {
        const code = signal?.aborted || this.#closed ? 'Aborted' : 'ThreadDied';
        throw new MonocoreError(code, `the job ${job.type} did not end`, { cause });
      });
    if ('error' in outcome) throw fromWireError(outcome.error);
    return outcome.result;
  }

  status(): ThreadStatus {
    return { name: 'jobs', state: this.#closed ? 'stopped' : 'ready', restarts: 0 };
  }

  /** Ends a thread of jobs wherever it is, if there is one; another is started for the next job. For tests of that. */
  async crash(): Promise<void> {
    await this.#pools.get('jobs')?.threads[0]?.terminate();
  }

  /** Ends the threads; jobs that run are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #poolFor({ type }: Job): Piscina {
    const name = POOL_OF[type];
    const pool = this.#pools.get(name) ?? createPool(name);
    this.#pools.set(name, pool);
    return pool;
  }
}

function createPool(name: PoolName): Piscina {
  const { entry, maxThreads } = POOLS[name];
  const url = entryUrl(entry);
  return new Piscina({
    filename: url.href,
    minThreads: 0,
    maxThreads,
    idleTimeout: IDLE_TIMEOUT_MS,
    // 'sync' would block the thread's event loop, and with it every asynchronous job.
    atomics: 'async',
    // Hooks of the parent do not reach a worker on Node 20: TypeScript sources need tsx inside.
    execArgv: url.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [],
  });
}
