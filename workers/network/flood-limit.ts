/** How much a VM may send to everybody: that costs each member of its group, not only the one who asked for it. */

/** Frames a second. A member asks with one for the address of another, about once a minute. */
export const FLOOD_RATE = 1000;
/** Frames at once. */
export const FLOOD_BURST = 1000;

/** A token bucket. */
export class FloodLimit {
  readonly #now: () => number;
  #tokens = FLOOD_BURST;
  #filledAtMs: number;

  /** @param now monotonic time, milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#filledAtMs = now();
  }

  /** Whether one more may pass. */
  take(): boolean {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#filledAtMs) * FLOOD_RATE) / 1000;
    this.#tokens = Math.min(this.#tokens + gained, FLOOD_BURST);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
