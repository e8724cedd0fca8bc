/** The piscina pool for finite jobs: whatever costs more than a millisecond and is not a stream. */
import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { MonocoreError } from '../errors.ts';
import type { ThreadStatus } from '../protocol/control.ts';
import type { Job, JobResult } from '../protocol/jobs.ts';
import { fromWireError, type WireError } from '../protocol/wire-error.ts';
import { entryUrl } from './entry.ts';

/** Jobs come in bursts at a start, and a thread costs 10 MB: idle ones end soon. */
const IDLE_TIMEOUT_MS = 2000;

/**
 * Searches have threads of their own, so that they keep no service from its start: what a search costs is up to its
 * user. With two of them, one that is stuck does not stop the others.
 */
const SEARCH_THREADS = 2;

/**
 * Downloads take minutes, most of which they wait, and must keep no log from being compressed. One job changes the store
 * at a time; the second thread lists images meanwhile.
 */
const IMAGE_THREADS = 2;

/** How to run a job. */
export interface JobOptions {
  /** Calls the job off; the thread that runs it is ended, whatever it does. */
  readonly signal?: AbortSignal;
  /** Ports in the job, to be handed over with it. */
  readonly ports?: readonly MessagePort[];
}

/** Runs jobs off the main thread. Main thread only. */
export class JobPool {
  #jobs: Piscina | null = null;
  #searches: Piscina | null = null;
  #images: Piscina | null = null;
  #closed = false;

  /**
   * Runs a job; threads are started when there is something to do.
   *
   * @throws what the job throws; MonocoreError `Aborted` when `signal` fires or the pool is closed
   */
  async run<J extends Job>(job: J, { signal, ports = [] }: JobOptions = {}): Promise<JobResult<J>> {
    // piscina would start threads again for a job that comes after its end.
    if (this.#closed) throw new MonocoreError('Aborted', 'the daemon is ending');
    const outcome: { result: JobResult<J> } | { error: WireError } = await this.#poolFor(job)
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
    await this.#jobs?.threads[0]?.terminate();
  }

  /** Ends the threads; jobs that run are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#jobs?.destroy(), this.#searches?.destroy(), this.#images?.destroy()]);
  }

  #poolFor({ type }: Job): Piscina {
    if (type === 'search-logs') {
      this.#searches ??= createPool(SEARCH_THREADS);
      return this.#searches;
    }
    if (type.endsWith('-images') || type === 'build-root-image') {
      this.#images ??= createPool(IMAGE_THREADS);
      return this.#images;
    }
    this.#jobs ??= createPool(Math.max(1, availableParallelism() - 1));
    return this.#jobs;
  }
}

function createPool(maxThreads: number): Piscina {
  const url = entryUrl('jobs');
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
