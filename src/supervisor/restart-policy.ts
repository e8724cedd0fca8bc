/** Whether and when a service that ended by itself runs again. Pure. */
import { formatSize } from '../lib/units.ts';
import type { EndedState, Now, RestartHistory, Rules, ServiceState } from './states.ts';

/** Of the first restart in a row; doubles with each further one. */
export const FIRST_DELAY_MS = 1000;
/** Longest wait between two runs, but for the jitter. */
export const MAX_DELAY_MS = 60_000;
/** Share of the delay by which it is longer or shorter at most: what failed together does not come back together. */
export const JITTER = 0.2;

/** Samples in a row above the limit that make a restart: a peak between two samples of 2 s is none. */
export const OVER_MEMORY_SAMPLES = 3;
/** Share of the limit below which the count begins anew: at the limit itself it would never come to an end. */
export const MEMORY_CALM_SHARE = 0.9;

/** What follows the end of a run. */
export type RestartDecision =
  | { readonly type: 'restart'; readonly delayMs: number; readonly restarts: RestartHistory }
  /** It would be restarted, but was too often. */
  | { readonly type: 'give-up'; readonly message: string }
  | { readonly type: 'stay-down' };

/**
 * Decides after the end of a run that the user did not ask for.
 *
 * @param wasHealthy whether its health check, if it has one, ever succeeded in the run
 */
export function decideRestart(
  { restart, healthcheck }: Rules,
  ended: EndedState,
  wasHealthy: boolean,
  restarts: RestartHistory,
  now: Now,
): RestartDecision {
  if (!wantsRestart(restart.when, ended)) return { type: 'stay-down' };
  const { startedAtMs, stoppedAtMs } = ended;
  const ranWell =
    startedAtMs !== null && stoppedAtMs - startedAtMs >= restart.reset_ms && (healthcheck === null || wasHealthy);
  const inRow = ranWell ? 0 : restarts.inRow;
  const reason = describeEnd(ended);
  if (restart.max_restarts !== null && inRow >= restart.max_restarts) {
    return { type: 'give-up', message: `gave up after ${countRestarts(inRow)} in a row; at last: ${reason}` };
  }
  return {
    type: 'restart',
    delayMs: backOffMs(inRow, now.dice),
    restarts: { total: restarts.total + 1, inRow: inRow + 1, lastReason: reason },
  };
}

function wantsRestart(when: Rules['restart']['when'], { status, reason, exit }: EndedState): boolean {
  // These are stops that the service's own settings asked for, so that it would run again.
  if (reason === 'unhealthy' || reason === 'max-memory') return true;
  switch (when) {
    case 'no':
      return false;
    case 'on-failure':
      return status === 'Failed' || exit?.code !== 0;
    case 'always':
    case 'unless-stopped':
      return true;
  }
}

/**
 * Whether a service that is down is started when a daemon starts.
 *
 * @param startsAll whether the daemon was started for its services, not just to answer a question
 */
export function startsWithDaemon(when: Rules['restart']['when'], state: ServiceState, startsAll: boolean): boolean {
  const { desired, actual } = state;
  if (actual.status !== 'Stopped' && actual.status !== 'Failed') return false;
  if (desired === 'down') return when === 'always' && startsAll;
  if (actual.reason === 'gave-up') return false;
  // After an ordinary end of the daemon: what failed had been restarted before it, or was not to be.
  if (when === 'on-failure' && actual.reason === 'stopped') return false;
  return wantsRestart(when, actual);
}

/** Wait before restart number `inRow` + 1 of a row. */
export function backOffMs(inRow: number, dice: number): number {
  // Beyond that many the delay has long reached its limit, and a power of two might overflow.
  const doubled = FIRST_DELAY_MS * 2 ** Math.min(inRow, 16);
  return Math.round(Math.min(doubled, MAX_DELAY_MS) * (1 + JITTER * (2 * dice - 1)));
}

function countRestarts(count: number): string {
  return count === 1 ? '1 restart' : `${count} restarts`;
}

/** How a run ended, in a few words. */
export function describeEnd(ended: EndedState): string {
  if (ended.status === 'Failed') return ended.error;
  if (ended.detail !== null) return ended.detail;
  if (ended.reason === 'out-of-memory') return 'the guest was out of memory';
  const { code, signal } = ended.exit;
  if (signal !== null) return `ended by ${signal}`;
  return code === null ? 'its exit code is not known' : `exit code ${code}`;
}

/** Counts samples above the limit: see {@link OVER_MEMORY_SAMPLES} and {@link MEMORY_CALM_SHARE}. */
export function countOverMemory(count: number, bytes: number, maxBytes: number): number {
  if (bytes > maxBytes) return count + 1;
  return bytes < maxBytes * MEMORY_CALM_SHARE ? 0 : count;
}

/** Why a service is restarted for its memory. */
export function describeMemory(bytes: number, maxBytes: number): string {
  return `it had ${formatSize(bytes)} of memory, above its max_memory of ${formatSize(maxBytes)}`;
}
