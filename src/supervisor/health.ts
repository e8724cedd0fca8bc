/** Health of one service: runs its probes and evaluates their results. */
import type { Service } from '../protocol/service.ts';
import type { HealthCheck, ProbeResult } from '../protocol/supervision.ts';
import type { Instance } from '../vm/backend.ts';
import type { LogSink } from './interfaces.ts';
import type { Health } from './states.ts';

/** Health before the first result. */
export const UNPROBED: Health = Object.freeze({ verdict: 'starting', failures: 0, detail: null });

/** Maximum interval between probes while a service starts, because others may be waiting for it. */
export const STARTING_INTERVAL_MS = 1000;

/**
 * Verdict after a probe, and the delay until the next one, null for none. `retries` consecutive failures make a service
 * unhealthy; failures within the start period do not count unless a probe has succeeded. Pure.
 *
 * @param ageMs time since the command started
 */
export function evaluateProbe(
  check: HealthCheck,
  health: Health,
  { ok, detail }: ProbeResult,
  ageMs: number,
): { readonly health: Health; readonly nextProbeMs: number | null } {
  if (ok) {
    // A line cannot be unprinted.
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

/** Runs the probes of a service one after another. Main thread. */
export class HealthChecker {
  readonly #service: Service;
  readonly #logs: LogSink;
  readonly #onResult: (result: ProbeResult) => void;
  #running: AbortController | null = null;
  #lineSeen = false;
  #endWatch: (() => void) | null = null;

  constructor(service: Service, logs: LogSink, onResult: (result: ProbeResult) => void) {
    this.#service = service;
    this.#logs = logs;
    this.#onResult = onResult;
  }

  /**
   * Probes once; passes the result to `onResult`, unless {@link HealthChecker.end} is called first.
   *
   * @param sinceMs start of the launch: earlier lines belong to another run
   */
  probe(vm: Instance | null, sinceMs: number): void {
    const { name, healthcheck } = this.#service;
    if (!vm || !healthcheck) return;
    const { probe, timeout_ms } = healthcheck;
    if (probe.type === 'log_line') {
      this.#endWatch ??= this.#logs.watchForLine(name, probe.pattern, sinceMs, () => this.#onLine());
      this.#onResult({ ok: this.#lineSeen, detail: this.#lineSeen ? 'the line was printed' : 'no line matches yet' });
      return;
    }
    const running = new AbortController();
    this.#running = running;
    void vm.probe(probe, timeout_ms, running.signal).then((result) => {
      if (!running.signal.aborted) this.#onResult(result);
    });
  }

  /** Cancels the running probe; its result is dropped. */
  end(): void {
    this.#running?.abort();
    this.#running = null;
    this.#endWatch?.();
    this.#endWatch = null;
    this.#lineSeen = false;
  }

  #onLine(): void {
    this.#lineSeen = true;
    this.#onResult({ ok: true, detail: 'the line was printed' });
  }
}
