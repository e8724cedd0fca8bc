/** Token bucket: bounds the rate of something that is not trusted. */

/** Bound on a rate. */
export interface Rate {
  /** Most that may come at once. */
  readonly burst: number;
  /** Most that may come in the long run. */
  readonly perSecond: number;
}

/** Tokens of one sender: a full bucket at first, filled again by monotonic time. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAtMs = performance.now();

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Takes tokens; takes none and returns false where there are too few. */
  take(count = 1): boolean {
    const { burst, perSecond } = this.#rate;
    const nowMs = performance.now();
    this.#tokens = Math.min(this.#tokens + ((nowMs - this.#filledAtMs) * perSecond) / 1000, burst);
    this.#filledAtMs = nowMs;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }
}
