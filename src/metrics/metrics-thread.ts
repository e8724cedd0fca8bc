/** Main thread's proxy of the metrics worker. */
import { errorCode, errorText } from '../lib/errors.ts';
import { EventLoopBatch, EventLoopQueue } from '../lib/event-loop-batch.ts';
import { within } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';
import { type MetricsApi, type MetricsEvent, SAMPLE_INTERVAL_MS, type WatchChange } from '../protocol/metrics.ts';
import type { Metrics } from '../protocol/service.ts';
import { CANCELLED, type NetworkProbe, noAnswer, type ProbeResult } from '../protocol/supervision.ts';
import type { MetricsSink } from '../supervisor/interfaces.ts';
import { WorkerThread } from '../threads/worker-thread.ts';

/** Grace period after the deadline of a probe, which a healthy worker keeps; after that the worker counts as stuck. */
const PROBE_GRACE_MS = 1000;

interface Watch {
  readonly pid: number;
  readonly onSample: (metrics: Metrics) => void;
}

/** Starts the worker, also after a crash. Main thread. */
export class MetricsThread implements MetricsSink {
  readonly thread: WorkerThread<MetricsApi, MetricsEvent>;
  readonly #watched = new Map<string, Watch>();
  readonly #changes = new EventLoopBatch<WatchChange>((changes) => this.thread.tell((api) => api.watch(changes)));
  readonly #samples = new EventLoopQueue();
  #lastProbe = 0;

  constructor(report: Report) {
    this.thread = new WorkerThread<MetricsApi, MetricsEvent>({
      entry: 'metrics',
      data: () => ({ data: { intervalMs: SAMPLE_INTERVAL_MS } }),
      // Probes have their own deadline.
      deadlines: { defaultMs: 10_000, perMethodMs: { probe: null } },
      onEvent: ({ samples }) => {
        for (const [service, metrics] of Object.entries(samples)) {
          this.#samples.add(() => this.#watched.get(service)?.onSample(metrics));
        }
      },
      onDeath: (error) => report('error', `${error.message}; restarting it`),
      onReady: async (api) => {
        await api.watch([...this.#watched].map(([service, { pid }]) => ({ service, pid })));
      },
    });
  }

  watch(service: string, pid: number, onSample: (metrics: Metrics) => void): void {
    this.#watched.set(service, { pid, onSample });
    this.#changes.add({ service, pid });
  }

  unwatch(service: string): void {
    if (this.#watched.delete(service)) this.#changes.add({ service, pid: null });
  }

  /**
   * Probes a port of 127.0.0.1. Never rejects. If the worker dies meanwhile, which is not the service's fault, its
   * successor probes again in the remaining time. After `signal` fires, resolves once the connection is closed.
   */
  async probe(probe: NetworkProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    const id = ++this.#lastProbe;
    const endsAtMs = performance.now() + timeoutMs;
    const ask = async (): Promise<ProbeResult | null> => {
      const api = await this.thread.ready();
      if (signal.aborted) return CANCELLED;
      return api.probe(id, probe, Math.max(endsAtMs - performance.now(), 0)).catch((error: unknown) => {
        if (errorCode(error) === 'ThreadDied') return ask();
        throw error;
      });
    };
    const cancel = () => this.thread.tell((api) => api.cancelProbe(id));
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return (await within(ask(), timeoutMs + PROBE_GRACE_MS)) ?? noAnswer(timeoutMs);
    } catch (error) {
      return { ok: false, detail: errorText(error) };
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }
}
