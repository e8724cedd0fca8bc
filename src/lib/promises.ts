/** Promise helpers: deferred, timeout, polling. Any thread. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from './clock.ts';

/** Promise with its resolve functions, like `Promise.withResolvers` in Node 22. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let settle!: Omit<Deferred<T>, 'promise'>;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}

/** Result of `promise`; null if `timeoutMs` passes or the signal fires first. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  { signal, clock = systemClock }: { readonly signal?: AbortSignal | undefined; readonly clock?: Clock } = {},
): Promise<T | null> {
  const limit = deferred<null>();
  const giveUp = (): void => limit.resolve(null);
  const cancel = clock.after(timeoutMs, giveUp);
  signal?.addEventListener('abort', giveUp);
  if (signal?.aborted) giveUp();
  try {
    return await Promise.race([promise, limit.promise]);
  } finally {
    cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Waits until a condition holds, checking it every `intervalMs`; false if it does not hold after `timeoutMs`. */
export async function pollUntil(
  condition: () => boolean,
  intervalMs: number,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await delay(intervalMs);
  }
  return true;
}

/** Interval and total time of {@link untilDone}. */
const RETRY_INTERVAL_MS = 250;
const RETRY_TIMEOUT_MS = 10_000;

/**
 * Calls `action` until it does not throw, for at most 10 s: for a while, no file descriptor may be free. Returns false
 * after that.
 */
export function untilDone(action: () => void): Promise<boolean> {
  const isDone = (): boolean => {
    try {
      action();
      return true;
    } catch {
      return false;
    }
  };
  return pollUntil(isDone, RETRY_INTERVAL_MS, RETRY_TIMEOUT_MS);
}
