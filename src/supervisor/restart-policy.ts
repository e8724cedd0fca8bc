/** Restart policy: whether and when a service that ended by itself is restarted. Pure. */
import { formatSize } from '../lib/units.ts';
import type { EndedState, Now, RestartHistory, Rules, ServiceState } from './states.ts';

/** Delay before the first restart; it doubles with each consecutive one. */
const FIRST_DELAY_MS = 1000;
/** Maximum delay between two runs, before jitter. */
export const MAX_DELAY_MS = 60_000;
/** Maximum jitter as a fraction of the delay: services that failed together should not restart together. */
export const JITTER = 0.2;

/**
 * Number of consecutive samples above the limit that cause a restart, so that a short peak does not; one sample takes 2
 * s.
 */
export const OVER_MEMORY_SAMPLES = 3;
/**
 * Fraction of the limit below which the count is reset. The gap prevents a service near its limit from resetting it
 * again and again.
 */
const MEMORY_CALM_SHARE = 0.9;

/** Decision after the end of a run. */
type RestartDecision =
  | { readonly type: 'restart'; readonly delayMs: number; readonly restarts: RestartHistory }
  /** The policy demands a restart, but there were too many in a row. */
  | { readonly type: 'give-up'; readonly message: string }
  | { readonly type: 'stay-down' };

/**
 * Decides what happens after a run that no user ended.
 *
 * @param wasHealthy true if a probe of the run succeeded
 */
export function decideRestart(
  { restart, healthcheck }: Rules,
  ended: EndedState,
  wasHealthy: boolean,
  restarts: RestartHistory,
  now: Pick<Now, 'ms' | 'ageMs' | 'jitter'>,
): RestartDecision {
  // A boot that hangs is rare and not the service's fault: it is retried once, whatever the policy says.
  const isFirstHang = ended.reason === 'boot-timeout' && restarts.inRow === 0;
  if (!isFirstHang && !wantsRestart(restart.when, ended)) return { type: 'stay-down' };
  const ranWell = now.ageMs !== null && now.ageMs >= restart.reset_ms && (healthcheck === null || wasHealthy);
  const inRow = ranWell ? 0 : restarts.inRow;
  const reason = describeEnd(ended);
  if (restart.max_restarts !== null && inRow >= restart.max_restarts) {
    const restarts = inRow === 1 ? '1 restart' : `${inRow} restarts`;
    return { type: 'give-up', message: `gave up after ${restarts} in a row; last reason: ${reason}` };
  }
  return {
    type: 'restart',
    delayMs: isFirstHang ? 0 : backOffMs(inRow, now.jitter),
    restarts: { total: restarts.total + 1, inRow: inRow + 1, lastReason: reason },
  };
}

function wantsRestart(when: Rules['restart']['when'], { status, reason, exit }: EndedState): boolean {
  // The service's own settings caused these stops in order to restart it.
  if (reason === 'unhealthy' || reason === 'max-memory') return true;
  if (when === 'on-failure') return status === 'Failed' || exit?.code !== 0;
  return when !== 'no';
}

/**
 * Decides whether a starting daemon starts a service.
 *
 * @param startsAll true: the daemon was started to run services, not just to answer a query
 */
export function startsWithDaemon(when: Rules['restart']['when'], state: ServiceState, startsAll: boolean): boolean {
  const { desired, actual } = state;
  if (actual.status !== 'Stopped' && actual.status !== 'Failed') return false;
  if (desired === 'down') return when === 'always' && startsAll;
  if (actual.reason === 'gave-up') return false;
  // A normal end of the daemon stopped it, so it had not failed.
  if (when === 'on-failure' && actual.reason === 'stopped') return false;
  return wantsRestart(when, actual);
}

/** Delay before consecutive restart number `inRow` + 1. */
export function backOffMs(inRow: number, jitter: number): number {
  // Long before 16 the delay has reached its limit; a larger exponent might overflow.
  const doubled = FIRST_DELAY_MS * 2 ** Math.min(inRow, 16);
  return Math.round(Math.min(doubled, MAX_DELAY_MS) * (1 + JITTER * (2 * jitter - 1)));
}

/** Describes the end of a run in a few words. */
export function describeEnd(ended: EndedState): string {
  if (ended.status === 'Failed') return ended.error;
  if (ended.detail !== null) return ended.detail;
  if (ended.reason === 'out-of-memory') return 'the guest ran out of memory';
  const { code, signal } = ended.exit;
  if (signal !== null) return `ended by ${signal}`;
  return code === null ? 'its exit code is unknown' : `exit code ${code}`;
}

/** Number of samples above the limit: see {@link OVER_MEMORY_SAMPLES} and {@link MEMORY_CALM_SHARE}. */
export function countOverMemory(count: number, bytes: number, maxBytes: number): number {
  if (bytes > maxBytes) return count + 1;
  return bytes < maxBytes * MEMORY_CALM_SHARE ? 0 : count;
}

export function describeMemory(bytes: number, maxBytes: number): string {
  return `it used ${formatSize(bytes)} of memory, more than its max_memory of ${formatSize(maxBytes)}`;
}
