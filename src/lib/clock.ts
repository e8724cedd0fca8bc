/** Clock of the lifecycle. Passed in, never read globally, so that tests can drive it. */
export interface Clock {
  /** Wall-clock time, milliseconds since the epoch, for people. Steps when the host's clock is set. */
  now(): number;
  /** Milliseconds of a clock that only rises, for durations. */
  elapsed(): number;
  /** Runs `callback` after `delayMs` of monotonic time; the returned function cancels it and may be called twice. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** RFC 3339 in UTC with milliseconds, the form of every time that monocore writes. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
