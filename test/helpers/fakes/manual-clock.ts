import type { Clock } from '../../../src/lib/clock.ts';

/** Time that passes only on request. */
export class ManualClock implements Clock {
  epochMs = Date.parse('2026-11-23T08:00:00.123Z');
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  now(): number {
    return this.epochMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.epochMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Time until the next timer is due; null without a timer. */
  get nextDelayMs(): number | null {
    const delays = [...this.#timers].map(({ atMs }) => atMs - this.epochMs);
    return delays.length === 0 ? null : Math.min(...delays);
  }

  /** Timers that run. */
  get timers(): number {
    return this.#timers.size;
  }

  advance(durationMs: number): void {
    this.epochMs += durationMs;
    for (const timer of [...this.#timers]) {
      if (timer.atMs <= this.epochMs && this.#timers.delete(timer)) timer.callback();
    }
  }
}
