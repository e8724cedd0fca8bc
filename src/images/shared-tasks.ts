/** Work that several ask for at once and that is done once. */
import { MonocoreError } from '../lib/errors.ts';

/** Who waits for a task. */
interface Waiter {
  readonly signal: AbortSignal;
  /** For people; also what was told last, for those who come later. */
  readonly onProgress: (text: string) => void;
}

interface Task<Result> {
  readonly result: Promise<Result>;
  readonly end: AbortController;
  readonly progress: { told: string | null; readonly waiters: Set<Waiter> };
}

/** Does what the task is; `signal` fires when nobody waits for it any more. */
export type DoTask<Result> = (signal: AbortSignal, tell: (text: string) => void) => Promise<Result>;

/** Tasks by key, each from its first waiter to its end. */
export class SharedTasks<Result> {
  readonly #tasks = new Map<string, Task<Result>>();

  /**
   * Waits for the task of that key, which is begun unless it is under way. One that nobody waits for any more is called
   * off, and its place is free only when it has ended.
   *
   * @throws what the task throws; MonocoreError `Aborted` when the signal fires
   */
  async join(key: string, waiter: Waiter, work: DoTask<Result>): Promise<Result> {
    for (;;) {
      if (waiter.signal.aborted) throw calledOff();
      const task = this.#tasks.get(key) ?? this.#begin(key, work);
      if (!task.end.signal.aborted) return await this.#wait(task, waiter);
      const ended = task.result.then(
        () => {},
        () => {},
      );
      await orCalledOff(ended, waiter.signal);
    }
  }

  #begin(key: string, work: DoTask<Result>): Task<Result> {
    const end = new AbortController();
    const progress = { told: null as string | null, waiters: new Set<Waiter>() };
    const tell = (text: string): void => {
      progress.told = text;
      for (const { onProgress } of progress.waiters) onProgress(text);
    };
    const result = work(end.signal, tell).finally(() => this.#tasks.delete(key));
    const task: Task<Result> = { result, end, progress };
    this.#tasks.set(key, task);
    return task;
  }

  async #wait(task: Task<Result>, waiter: Waiter): Promise<Result> {
    const { signal, onProgress } = waiter;
    const { told, waiters } = task.progress;
    waiters.add(waiter);
    if (told !== null) onProgress(told);
    try {
      return await orCalledOff(task.result, signal);
    } finally {
      waiters.delete(waiter);
      if (waiters.size === 0) {
        task.end.abort();
        // Nobody else hears of how it ends.
        task.result.catch(() => {});
      }
    }
  }
}

function calledOff(): MonocoreError {
  return new MonocoreError('Aborted', 'the start was called off');
}

/** The result, unless the signal fires before it is there; it has not fired yet. */
async function orCalledOff<Result>(result: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(calledOff());
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
