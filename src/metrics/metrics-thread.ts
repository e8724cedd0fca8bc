/** The main thread's side of the metrics worker. */
import { errorCode, errorText } from '../lib/errors.ts';
import { EventLoopBatch, EventLoopQueue } from '../lib/event-loop-batch.ts';
import type { Report } from '../lib/report.ts';
import { type MetricsApi, type MetricsEvent, SAMPLE_INTERVAL_MS, type WatchChange } from '../protocol/metrics.ts';
import type { Metrics } from '../protocol/service.ts';
import { CANCELLED, type NetworkProbe, noAnswer, type ProbeResult } from '../protocol/supervision.ts';
import type { MetricsSink } from '../supervisor/interfaces.ts';
import { WorkerThread } from '../threads/worker-thread.ts';

/** A worker that answers keeps a probe's deadline itself; this much later it counts as stuck. */
const PROBE_GRACE_MS = 1000;

interface Watch {
  readonly pid: number;
  readonly onSample: (metrics: Metrics) => void;
}

/** The metrics worker. Main thread. */
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
      // A probe has a deadline of its own.
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
   * Asks a port of 127.0.0.1 in the worker. Never rejects. A worker that dies meanwhile is no fault of the service: the
   * next one asks again, in the time that is left.
   *
   * @param timeoutMs when the answer is that there was none
   * @param signal calls it off; it answers when the connection is closed
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
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs + PROBE_GRACE_MS);
    });
    try {
      return (await Promise.race([ask(), stuck])) ?? noAnswer(timeoutMs);
    } catch (error) {
      return { ok: false, detail: errorText(error) };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
  }

  async stop(): Promise<void> {
    await this.thread.stop();
  }
}
