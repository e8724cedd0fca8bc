import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 10;

/** Reached only by a test that fails: a loaded host may take most of it to start a daemon from source. */
const DEADLINE_MS = 60_000;

/**
 * Polls `probe` and returns its first value that is neither null, undefined nor false. For changes in the system that
 * raise no event.
 *
 * @param what subject of the wait, for the error
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<NonNullable<Exclude<T, false>>> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value as NonNullable<Exclude<T, false>>;
    if (performance.now() > endMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await delay(POLL_INTERVAL_MS);
  }
}
