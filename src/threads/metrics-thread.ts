/** The main thread's side of the metrics worker. */
import type { MetricsSink, Report } from '../lifecycle/ports.ts';
import { type MetricsApi, type MetricsEvent, SAMPLE_INTERVAL_MS } from '../protocol/metrics.ts';
import type { Metrics } from '../protocol/service.ts';
import { ThreadService } from './service.ts';

interface Watch {
  readonly pid: number;
  readonly onSample: (metrics: Metrics) => void;
}

/** The metrics worker. Main thread. */
export class MetricsThread implements MetricsSink {
  readonly thread: ThreadService<MetricsApi, MetricsEvent>;
  readonly #watched = new Map<string, Watch>();

  constructor(report: Report) {
    this.thread = new ThreadService<MetricsApi, MetricsEvent>({
      entry: 'metrics',
      data: () => ({ data: { intervalMs: SAMPLE_INTERVAL_MS } }),
      deadlines: { defaultMs: 10_000 },
      onEvent: ({ samples }) => {
        for (const [service, metrics] of Object.entries(samples)) this.#watched.get(service)?.onSample(metrics);
      },
      onDeath: (error) => report('error', `${error.message}; it is started again`),
      onReady: async (api) => {
        for (const [service, { pid }] of this.#watched) await api.watch(service, pid);
      },
    });
  }

  watch(service: string, pid: number, onSample: (metrics: Metrics) => void): void {
    this.#watched.set(service, { pid, onSample });
    this.thread.tell((api) => api.watch(service, pid));
  }

  unwatch(service: string): void {
    if (this.#watched.delete(service)) this.thread.tell((api) => api.unwatch(service));
  }

  async stop(): Promise<void> {
    await this.thread.stop();
  }
}
