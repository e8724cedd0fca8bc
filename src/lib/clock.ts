/** Clock of the lifecycle. Always passed in, so that tests can control it. */
export interface Clock {
  /** Wall-clock time for people, in milliseconds since the epoch. Jumps when the host's clock is set. */
  now(): number;
  /** Milliseconds of a monotonic clock, for durations. */
  elapsed(): number;
  /** Runs `callback` after `delayMs` of monotonic time. The returned function cancels it and may be called twice. */
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

/** RFC 3339 time in UTC with milliseconds, the format of every time that monocore writes. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
