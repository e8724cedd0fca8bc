/** The timers of one service, by name. */
import type { Clock } from '../lib/clock.ts';
import type { TimerName } from './states.ts';

/** At most one of each name runs. Main thread. */
export class TimerSet {
  readonly #clock: Clock;
  readonly #onTimer: (timer: TimerName) => void;
  readonly #cancels = new Map<TimerName, () => void>();

  constructor(clock: Clock, onTimer: (timer: TimerName) => void) {
    this.#clock = clock;
    this.#onTimer = onTimer;
  }

  /** Replaces one of that name. */
  set(timer: TimerName, delayMs: number): void {
    this.cancel(timer);
    const cancel = this.#clock.after(delayMs, () => {
      this.#cancels.delete(timer);
      this.#onTimer(timer);
    });
    this.#cancels.set(timer, cancel);
  }

  cancel(timer: TimerName): void {
    this.#cancels.get(timer)?.();
    this.#cancels.delete(timer);
  }
}
