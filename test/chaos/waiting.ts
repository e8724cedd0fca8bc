/** Waiting for what announces itself to nobody. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 50;

/** Returns true if `probe` became true in time. An error counts as false. */
export async function comesTrue(deadlineMs: number, probe: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const isTrue = await Promise.resolve()
      .then(probe)
      .catch(() => false);
    if (isTrue) return true;
    if (performance.now() > endMs) return false;
    await delay(POLL_INTERVAL_MS);
  }
}
