/** How fast a number grows. */

/** Time over which the rate is smoothed: long enough to be readable, short enough to show a stall. */
const WINDOW_MS = 3000;

/** Bytes per second of a download, as an exponential moving average. Time is passed in, in milliseconds. */
export class RateMeter {
  #lastMs: number | null = null;
  #lastBytes = 0;
  #bytesPerSecond: number | null = null;

  /** Takes a reading. The first one says where it starts, and so does one below the one before. */
  update(doneBytes: number, nowMs: number): void {
    if (this.#lastMs === null || doneBytes < this.#lastBytes) {
      this.#bytesPerSecond = null;
    } else {
      const elapsedMs = nowMs - this.#lastMs;
      if (elapsedMs <= 0) return;
      const current = ((doneBytes - this.#lastBytes) * 1000) / elapsedMs;
      const weight = 1 - Math.exp(-elapsedMs / WINDOW_MS);
      const before = this.#bytesPerSecond;
      this.#bytesPerSecond = before === null ? current : before + (current - before) * weight;
    }
    this.#lastMs = nowMs;
    this.#lastBytes = doneBytes;
  }

  /** Null before the second reading. */
  get bytesPerSecond(): number | null {
    return this.#bytesPerSecond;
  }
}
