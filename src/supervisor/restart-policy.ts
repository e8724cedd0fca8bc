/** Restart policy: whether a service that ended by itself runs again, and after which delay. Pure. */
import { formatSize } from '../lib/units.ts';
import type { EndedState, Now, RestartHistory, Rules, ServiceState } from './states.ts';

/** Delay of the first restart in a row; it doubles with each further one. */
const FIRST_DELAY_MS = 1000;
/** Longest delay between two runs, before jitter. */
export const MAX_DELAY_MS = 60_000;
/** Largest jitter as a share of the delay: services that failed together do not restart together. */
export const JITTER = 0.2;

/** Samples in a row above the limit that cause a restart, so that a short peak does not; one sample takes 2 s. */
export const OVER_MEMORY_SAMPLES = 3;
/** Share of the limit below which the count resets. The gap keeps a service near its limit from resetting it forever. */
const MEMORY_CALM_SHARE = 0.9;

/** Decision after the end of a run. */
type RestartDecision =
  | { readonly type: 'restart'; readonly delayMs: number; readonly restarts: RestartHistory }
  /** The policy wants a restart, but there were too many in a row. */
  | { readonly type: 'give-up'; readonly message: string }
  | { readonly type: 'stay-down' };

/**
 * Decides after the end of a run that no user asked for.
 *
 * @param wasHealthy true when a probe of the run succeeded
 */
export function decideRestart(
  { restart, healthcheck }: Rules,
  ended: EndedState,
  wasHealthy: boolean,
  restarts: RestartHistory,
  now: Pick<Now, 'ms' | 'ageMs' | 'jitter'>,
): RestartDecision {
  // A boot that hangs is rare, and no fault of the service: one is tried again, whatever the policy says.
  const isFirstHang = ended.reason === 'boot-timeout' && restarts.inRow === 0;
  if (!isFirstHang && !wantsRestart(restart.when, ended)) return { type: 'stay-down' };
  const ranWell = now.ageMs !== null && now.ageMs >= restart.reset_ms && (healthcheck === null || wasHealthy);
  const inRow = ranWell ? 0 : restarts.inRow;
  const reason = describeEnd(ended);
  if (restart.max_restarts !== null && inRow >= restart.max_restarts) {
    const restarts = inRow === 1 ? '1 restart' : `${inRow} restarts`;
    return { type: 'give-up', message: `gave up after ${restarts} in a row; at last: ${reason}` };
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
 * Decides whether a daemon starts a service at its own start.
 *
 * @param startsAll true: the daemon was started for its services, not just to answer a question
 */
export function startsWithDaemon(when: Rules['restart']['when'], state: ServiceState, startsAll: boolean): boolean {
  const { desired, actual } = state;
  if (actual.status !== 'Stopped' && actual.status !== 'Failed') return false;
  if (desired === 'down') return when === 'always' && startsAll;
  if (actual.reason === 'gave-up') return false;
  // A normal end of the daemon stopped it: it had not failed.
  if (when === 'on-failure' && actual.reason === 'stopped') return false;
  return wantsRestart(when, actual);
}

/** Delay before restart number `inRow` + 1 of a row. */
export function backOffMs(inRow: number, jitter: number): number {
  // At 16 the delay has long reached its limit; a larger exponent might overflow.
  const doubled = FIRST_DELAY_MS * 2 ** Math.min(inRow, 16);
  return Math.round(Math.min(doubled, MAX_DELAY_MS) * (1 + JITTER * (2 * jitter - 1)));
}

/** The end of a run in a few words. */
export function describeEnd(ended: EndedState): string {
  if (ended.status === 'Failed') return ended.error;
  if (ended.detail !== null) return ended.detail;
  if (ended.reason === 'out-of-memory') return 'the guest was out of memory';
  const { code, signal } = ended.exit;
  if (signal !== null) return `ended by ${signal}`;
  return code === null ? 'its exit code is unknown' : `exit code ${code}`;
}

/** Count of samples above the limit: see {@link OVER_MEMORY_SAMPLES} and {@link MEMORY_CALM_SHARE}. */
export function countOverMemory(count: number, bytes: number, maxBytes: number): number {
  if (bytes > maxBytes) return count + 1;
  return bytes < maxBytes * MEMORY_CALM_SHARE ? 0 : count;
}

export function describeMemory(bytes: number, maxBytes: number): string {
  return `it had ${formatSize(bytes)} of memory, above its max_memory of ${formatSize(maxBytes)}`;
}
