/** Events, timers and waiting callers of one supervisor. Main thread. */
import type { Clock } from '../lib/clock.ts';
import type { Timer } from './states.ts';

/** Handles events one by one: the effects of one are done before the next is looked at. */
export class EventQueue<Event> {
  readonly #handle: (event: Event) => Promise<void>;
  readonly #onIdle: () => void;
  readonly #isClosing: () => boolean;
  readonly #events: Event[] = [];
  /** True while an event is being handled. */
  busy = false;

  /**
   * @param handle must not reject
   * @param onIdle called when no event is left
   * @param isClosing true once no more events may be handled
   */
  constructor(handle: (event: Event) => Promise<void>, onIdle: () => void, isClosing: () => boolean) {
    this.#handle = handle;
    this.#onIdle = onIdle;
    this.#isClosing = isClosing;
  }

  push(event: Event): void {
    this.#events.push(event);
    if (!this.busy) void this.#work();
  }

  /** Puts an event that follows from the current one before all that wait. */
  putFirst(event: Event): void {
    this.#events.unshift(event);
  }

  async #work(): Promise<void> {
    this.busy = true;
    while (!this.#isClosing()) {
      const event = this.#events.shift();
      if (event === undefined) break;
      await this.#handle(event);
    }
    this.busy = false;
    this.#onIdle();
  }
}

/** Timers by name; at most one of each runs. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #onTimer: (timer: Timer) => void;
  readonly #cancels = new Map<Timer, () => void>();

  constructor(clock: Clock, onTimer: (timer: Timer) => void) {
    this.#clock = clock;
    this.#onTimer = onTimer;
  }

  /** Starts a timer in place of the running one of that name. */
  set(timer: Timer, delayMs: number): void {
    this.cancel(timer);
    const cancel = this.#clock.after(delayMs, () => {
      this.#cancels.delete(timer);
      this.#onTimer(timer);
    });
    this.#cancels.set(timer, cancel);
  }

  cancel(timer: Timer): void {
    this.#cancels.get(timer)?.();
    this.#cancels.delete(timer);
  }
}

/** Callers blocked on a predicate. */
export class Waiters {
  readonly #checks = new Set<() => void>();

  /** Resolves once `isTrue` is; it is asked now, at each {@link Waiters.check}, and when `signal` fires. */
  until(isTrue: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isTrue()) return;
        this.#checks.delete(check);
        signal?.removeEventListener('abort', check);
        resolve();
      };
      this.#checks.add(check);
      signal?.addEventListener('abort', check);
      check();
    });
  }

  /** Asks all predicates again. */
  check(): void {
    for (const check of [...this.#checks]) check();
  }
}
