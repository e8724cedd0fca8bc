/** The piscina pool for finite jobs: whatever costs more than a millisecond and is not a stream. */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { MonocoreError } from '../errors.ts';
import type { ThreadStatus } from '../protocol/control.ts';
import type { Job, JobResult } from '../protocol/jobs.ts';
import { fromWireError, type WireError } from '../protocol/wire-error.ts';
import { entryUrl } from './entry.ts';

/** Jobs come in bursts at a start, and a thread costs 10 MB: idle ones end soon. */
const IDLE_TIMEOUT_MS = 2000;

/** Runs jobs off the main thread. Main thread only. */
export class JobPool {
  #pool: Piscina | null = null;
  #closed = false;

  /**
   * Runs a job; threads are started when there is something to do.
   *
   * @throws what the job throws; MonocoreError `Aborted` when `signal` fires or the pool is closed
   */
  async run<J extends Job>(job: J, signal?: AbortSignal): Promise<JobResult<J>> {
    // piscina would start threads again for a job that comes after its end.
    if (this.#closed) throw new MonocoreError('Aborted', 'the daemon is ending');
    this.#pool ??= createPool();
    const outcome: { result: JobResult<J> } | { error: WireError } = await this.#pool
      .run(job, signal ? { signal } : {})
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

  /** Ends the threads; jobs that run are cut off. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.destroy();
  }
}

function createPool(): Piscina {
  const url = entryUrl('jobs');
  return new Piscina({
    filename: url.href,
    minThreads: 0,
    maxThreads: Math.max(1, availableParallelism() - 1),
    idleTimeout: IDLE_TIMEOUT_MS,
    // 'sync' would block the thread's event loop, and with it every asynchronous job.
    atomics: 'async',
    // Hooks of the parent do not reach a worker on Node 20: TypeScript sources need tsx inside.
    execArgv: url.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [],
  });
}
