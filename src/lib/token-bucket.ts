/** Token bucket, to limit the rate of input from an untrusted sender. */

/** Limit on a rate. */
export interface Rate {
  /** Maximum number at once. */
  readonly burst: number;
  /** Maximum number per second in the long run. */
  readonly perSecond: number;
}

/** Token bucket of one sender: full at first, refilled by monotonic time. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAtMs = performance.now();

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Takes tokens; if there are too few, takes none and returns false. */
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
