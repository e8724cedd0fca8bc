/** Piscina pools for finite jobs that take more than a millisecond. */
import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { errorTextWithPath, fromWireError, MonocoreError } from '../lib/errors.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import type { Job, JobOutcome, JobResult } from '../protocol/jobs.ts';
import { entryUrl, type WorkerEntry } from './entry.ts';

/** Time after which idle threads end: jobs come in bursts during starts, and a thread uses 10 MB. */
const IDLE_TIMEOUT_MS = 2000;

/** Pool that runs a job; pools do not wait for each other. */
type PoolName = 'jobs' | 'searches' | 'images';

const POOL_OF: Readonly<Record<Job['type'], PoolName>> = {
  'build-initramfs': 'jobs',
  'compress-log': 'jobs',
  'prune-logs': 'jobs',
  'search-logs': 'searches',
  'match-line': 'searches',
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
   * Searches have their own threads, so that an expensive pattern delays no start. With two threads, a stuck search
   * does not block the others.
   */
  searches: { entry: 'jobs', maxThreads: 2 },
  /**
   * Downloads take minutes, mostly waiting, and must not delay the compression of logs. Only one job at a time changes
   * the store; the second thread can list images meanwhile.
   */
  images: { entry: 'images', maxThreads: 2 },
};

interface JobOptions {
  /** Cancels the job by ending its thread. */
  readonly signal?: AbortSignal;
  /** Ports contained in the job that are transferred with it. */
  readonly ports?: readonly MessagePort[];
}

/** Runs jobs off the main thread. Main thread only. */
export class JobPool {
  readonly #pools = new Map<PoolName, Piscina>();
  /** Errors of pools that could not start a thread, for example because no file descriptor was free. */
  readonly #failures = new WeakMap<Piscina, unknown>();
  #closed = false;

  /**
   * Runs a job; threads start on demand.
   *
   * @throws the error of the job; MonocoreError `Aborted` if `signal` fires or the pool is closed
   */
  async run<J extends Job>(job: J, { signal, ports = [] }: JobOptions = {}): Promise<JobResult<J>> {
    // Piscina would start threads again for a job that arrives after its end.
    if (this.#closed) throw new MonocoreError('Aborted', 'the daemon is ending');
    const pool = this.#poolFor(job);
    const outcome: JobOutcome<JobResult<J>> = await pool
      .run(job, { transferList: [...ports], ...(signal ? { signal } : {}) })
      .catch((reason: unknown) => {
        const code = signal?.aborted || this.#closed ? 'Aborted' : 'ThreadDied';
        const failure = this.#failures.get(pool);
        const why = failure === undefined ? '' : `: ${errorTextWithPath(failure)}`;
        throw new MonocoreError(code, `the job ${job.type} did not end${why}`, { cause: failure ?? reason });
      });
    if ('error' in outcome) throw fromWireError(outcome.error);
    return outcome.result;
  }

  status(): ThreadStatus {
    return { name: 'jobs', state: this.#closed ? 'stopped' : 'ready', restarts: 0 };
  }

  /** Kills a thread that is running jobs, if there is one; the next job starts another. For tests. */
  async crash(): Promise<void> {
    await this.#pools.get('jobs')?.threads[0]?.terminate();
  }

  /** Ends the threads and interrupts running jobs. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #poolFor({ type }: Job): Piscina {
    const name = POOL_OF[type];
    const known = this.#pools.get(name);
    if (known) return known;
    const pool = createPool(name);
    this.#pools.set(name, pool);
    pool.on('error', (error) => {
      // Its jobs would wait forever; the next job gets a new pool.
      this.#failures.set(pool, error);
      if (this.#pools.get(name) === pool) this.#pools.delete(name);
      void pool.destroy();
    });
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
    // 'sync' would block the thread's event loop and thus every asynchronous job.
    atomics: 'async',
    // On Node 20, hooks of the parent do not apply in a worker: TypeScript sources must register tsx there.
    execArgv: url.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [],
  });
}
