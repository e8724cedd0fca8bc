/** The main thread's side of the state worker. */

import { errorCode } from '../lib/errors.ts';
import { CallBatch } from '../lib/event-loop-batch.ts';
import type { Report } from '../lib/report.ts';
import type { WireError } from '../lib/wire-error.ts';
import type { FileChange, StateApi } from '../protocol/state.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import type { StateFiles } from './store.ts';

/** The state worker. Main thread. */
export class StateThread implements StateFiles {
  readonly thread: WorkerThread<StateApi>;
  readonly #changes = new CallBatch<FileChange>((changes) => this.#makeAll(changes));

  constructor(report: Report) {
    this.thread = new WorkerThread<StateApi>({
      entry: 'state',
      data: () => ({ data: null }),
      // However slow the disk is.
      deadlines: { defaultMs: 10_000, perMethodMs: { change: null } },
      onDeath: (error) => report('error', `${error.message}; it is started again`),
    });
  }

  change(change: FileChange): Promise<void> {
    return this.#changes.call(change);
  }

  /** Ends the worker; to be called when all that was asked for has been answered. */
  async stop(): Promise<void> {
    await this.thread.stop();
  }

  async #makeAll(changes: readonly FileChange[]): Promise<(WireError | null)[]> {
    const api = await this.thread.ready();
    return api.change(changes).catch((error: unknown) => {
      if (errorCode(error) !== 'ThreadDied') throw error;
      // Whatever the worker had done of them by its death, doing it again does no harm.
      return this.#makeAll(changes);
    });
  }
}
