/** Main thread's proxy of the state worker. */
import { errorCode, type WireError } from '../lib/errors.ts';
import { CallBatch } from '../lib/event-loop-batch.ts';
import type { Report } from '../lib/report.ts';
import type { FileChange, StateApi } from '../protocol/state.ts';
import { WorkerThread } from '../threads/worker-thread.ts';

export class StateThread {
  readonly thread: WorkerThread<StateApi>;
  readonly #changes = new CallBatch<FileChange>((changes) => this.#makeAll(changes));

  constructor(report: Report) {
    this.thread = new WorkerThread<StateApi>({
      entry: 'state',
      data: () => ({ data: null }),
      // A slow disk is no reason to give up.
      deadlines: { defaultMs: 10_000, perMethodMs: { change: null } },
      onDeath: (error) => report('error', `${error.message}; restarting it`),
    });
  }

  /** Changes a file; only one call at a time for each path. @throws MonocoreError; the file then has its old content */
  change(change: FileChange): Promise<void> {
    return this.#changes.call(change);
  }

  async #makeAll(changes: readonly FileChange[]): Promise<(WireError | null)[]> {
    const api = await this.thread.ready();
    return api.change(changes).catch((error: unknown) => {
      if (errorCode(error) !== 'ThreadDied') throw error;
      // The worker may have made some of them before it died; repeating them does no harm.
      return this.#makeAll(changes);
    });
  }
}
