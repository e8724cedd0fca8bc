import type { Clock } from '../../../src/lib/clock.ts';

/** Time that passes only on request. */
export class ManualClock implements Clock {
  epochMs = Date.parse('2026-11-23T08:00:00.123Z');
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  /** Time that has passed, whatever the clock was set to. */
  #elapsedMs = 0;

  elapsed(): number {
    return this.#elapsedMs;
  }

  /** Sets the clock, as an operator of the host does. */
  step(byMs: number): void {
    this.epochMs += byMs;
  }

  now(): number {
    return this.epochMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Time until the next timer is due; null without a timer. */
  get nextDelayMs(): number | null {
    const delays = [...this.#timers].map(({ atMs }) => atMs - this.#elapsedMs);
    return delays.length === 0 ? null : Math.min(...delays);
  }

  /** Timers that run. */
  get timers(): number {
    return this.#timers.size;
  }

  advance(durationMs: number): void {
    this.epochMs += durationMs;
    this.#elapsedMs += durationMs;
    for (const timer of [...this.#timers]) {
      if (timer.atMs <= this.#elapsedMs && this.#timers.delete(timer)) timer.callback();
    }
  }
}
