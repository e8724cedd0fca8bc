/** What the answers of a health check mean. Pure. */
import type { HealthCheck } from '../protocol/service.ts';
import type { Health } from './states.ts';

/** Before the first answer. */
export const UNPROBED: Health = Object.freeze({ verdict: 'starting', failures: 0, detail: null });

/** While a service starts it is asked this often, however long its interval: others may wait for it. */
export const STARTING_INTERVAL_MS = 1000;

/** A verdict, and when to ask again. */
export interface Diagnosis {
  readonly health: Health;
  /** Null: never again. */
  readonly nextProbeMs: number | null;
}

/**
 * What an answer makes of a service's health. `retries` failures in a row make it unhealthy, but failures within the
 * start period do not count until a probe has succeeded.
 *
 * @param ageMs how long the command has been running
 */
export function diagnose(
  check: HealthCheck,
  health: Health,
  answer: { readonly ok: boolean; readonly detail: string },
  ageMs: number,
): Diagnosis {
  const { detail } = answer;
  if (answer.ok) {
    // A line that was printed stays printed.
    const nextProbeMs = check.probe.type === 'log_line' ? null : check.interval_ms;
    return { health: { verdict: 'healthy', failures: 0, detail }, nextProbeMs };
  }
  if (health.verdict === 'starting' && ageMs < check.start_period_ms) {
    const nextProbeMs = Math.min(check.interval_ms, STARTING_INTERVAL_MS);
    return { health: { ...health, detail }, nextProbeMs };
  }
  const failures = health.failures + 1;
  const verdict = failures >= check.retries ? 'unhealthy' : health.verdict;
  return { health: { verdict, failures, detail }, nextProbeMs: check.interval_ms };
}
