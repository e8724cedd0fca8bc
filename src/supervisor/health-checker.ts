/** Performs the health checks of one service. */
import type { Service } from '../protocol/service.ts';
import type { Instance, ProbeResult } from '../vm/backend.ts';
import type { LogSink } from './interfaces.ts';

/** One after the other: the next probe is asked for when the last one was answered. Main thread. */
export class Prober {
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
   * Asks once; the answer goes to `onResult`, unless {@link Prober.end} comes first.
   *
   * @param sinceMs when the launch began: what was printed before is no line of this run
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

  /** No result comes any more. */
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
