/** Messages of the metrics worker. */
import type { Metrics } from './service.ts';
import type { NetworkProbe, ProbeResult } from './supervision.ts';

/** Time between two samples; the original monocore samples at this interval, too. */
export const SAMPLE_INTERVAL_MS = 2000;

export interface MetricsBoot {
  /** {@link SAMPLE_INTERVAL_MS}, or less in tests. */
  readonly intervalMs: number;
}

/** Message to the main thread and to the api worker: one batch per interval. */
export interface MetricsEvent {
  readonly type: 'samples';
  /** By service; only processes that were alive. */
  readonly samples: Readonly<Record<string, Metrics>>;
}

/** The process to sample as `service` from now on; null for none. */
export interface WatchChange {
  readonly service: string;
  readonly pid: number | null;
}

/** Commands of the main thread. Exposed with comlink. */
export interface MetricsApi {
  /** Starts or stops to sample processes. Must be told as soon as a process has ended: another may get its pid. */
  watch(changes: readonly WatchChange[]): Promise<void>;
  /**
   * Probes a port of 127.0.0.1, and closes the connection before it answers; null without an answer within `timeoutMs`. Never
   * throws. `id` is for {@link MetricsApi.cancelProbe}.
   */
  probe(id: number, probe: NetworkProbe, timeoutMs: number): Promise<ProbeResult | null>;
  /** Makes a probe answer at once. Ignores unknown ids. */
  cancelProbe(id: number): Promise<void>;
  /** Posts each {@link MetricsEvent} to `port`, too. */
  subscribe(port: import('node:worker_threads').MessagePort): Promise<void>;
}
