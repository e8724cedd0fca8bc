/** Tasks that run once although several callers ask for them at the same time. */
import { once } from 'node:events';
import { MonocoreError } from '../lib/errors.ts';

/** Caller that waits for a task. */
interface Waiter<Event> {
  readonly signal: AbortSignal;
  /** Receives every event; a late caller first receives the remembered ones. */
  readonly onEvent: (event: Event) => void;
}

interface Task<Result, Event> {
  readonly result: Promise<Result>;
  readonly end: AbortController;
  readonly waiters: Set<Waiter<Event>>;
  past: readonly Event[];
}

/** Performs a task; its signal fires when its last waiter has gone. */
type Work<Result, Event> = (waiters: Waiter<Event>) => Promise<Result>;

/** Running tasks by key. A task exists from its first waiter to its end. */
export class SharedTasks<Result, Event> {
  readonly #tasks = new Map<string, Task<Result, Event>>();
  readonly #remember: (past: readonly Event[], event: Event) => readonly Event[];

  /**
   * Creates the collection.
   *
   * @param remember adds an event to those that late waiters get, and drops those that it replaces
   */
  constructor(remember: (past: readonly Event[], event: Event) => readonly Event[]) {
    this.#remember = remember;
  }

  /**
   * Waits for the task with that key; starts it unless it is running. A task without waiters is cancelled; the next one
   * with its key starts after it has ended.
   *
   * @throws the error of the task; MonocoreError `Aborted` if the signal fires
   */
  async join(key: string, waiter: Waiter<Event>, work: Work<Result, Event>): Promise<Result> {
    for (;;) {
      if (waiter.signal.aborted) throw cancelled();
      const task = this.#tasks.get(key) ?? this.#begin(key, work);
      if (!task.end.signal.aborted) return await this.#wait(task, waiter);
      await orAborted(Promise.allSettled([task.result]), waiter.signal);
    }
  }

  #begin(key: string, work: Work<Result, Event>): Task<Result, Event> {
    const end = new AbortController();
    const waiters = new Set<Waiter<Event>>();
    const onEvent = (event: Event): void => {
      task.past = this.#remember(task.past, event);
      for (const waiter of waiters) waiter.onEvent(event);
    };
    // Starts asynchronously, so that the first waiter is registered before.
    const result = Promise.resolve()
      .then(() => work({ signal: end.signal, onEvent }))
      .finally(() => this.#tasks.delete(key));
    const task: Task<Result, Event> = { result, end, waiters, past: [] };
    this.#tasks.set(key, task);
    return task;
  }

  async #wait(task: Task<Result, Event>, waiter: Waiter<Event>): Promise<Result> {
    for (const event of task.past) waiter.onEvent(event);
    task.waiters.add(waiter);
    try {
      return await orAborted(task.result, waiter.signal);
    } finally {
      task.waiters.delete(waiter);
      if (task.waiters.size === 0) {
        task.end.abort();
        // Nobody waits for its failure any more.
        task.result.catch(() => {});
      }
    }
  }
}

function cancelled(): MonocoreError {
  return new MonocoreError('Aborted', 'the request was cancelled');
}

/** Result of `promise`. @throws MonocoreError `Aborted` if the signal, which must not have fired yet, fires first */
export async function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const ended = new AbortController();
  const aborted = once(signal, 'abort', { signal: ended.signal }).then(() => Promise.reject(cancelled()));
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    ended.abort();
  }
}
