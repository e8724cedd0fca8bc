/** Messages of the metrics worker. */
import type { Metrics } from './service.ts';
import type { NetworkProbe, ProbeResult } from './supervision.ts';

/** Time between two samples, same as in the Rust version. */
export const SAMPLE_INTERVAL_MS = 2000;

export interface MetricsBoot {
  /** {@link SAMPLE_INTERVAL_MS}; shorter in tests. */
  readonly intervalMs: number;
}

/** Message to the main thread and to the api worker: one batch per interval. */
export interface MetricsEvent {
  readonly type: 'samples';
  /** Samples by service, only of processes that were alive. */
  readonly samples: Readonly<Record<string, Metrics>>;
}

/** Process to sample for `service` from now on; null for none. */
export interface WatchChange {
  readonly service: string;
  readonly pid: number | null;
}

/** Commands of the main thread. Exposed with comlink. */
export interface MetricsApi {
  /** Starts or stops sampling processes. Call it as soon as a process has ended, because its pid may be reused. */
  watch(changes: readonly WatchChange[]): Promise<void>;
  /**
   * Probes a port of 127.0.0.1 and closes the connection before it returns; null without an answer within `timeoutMs`.
   * Never throws. `id` is for {@link MetricsApi.cancelProbe}.
   */
  probe(id: number, probe: NetworkProbe, timeoutMs: number): Promise<ProbeResult | null>;
  /** Makes a probe return at once. Ignores unknown ids. */
  cancelProbe(id: number): Promise<void>;
  /** Also posts each {@link MetricsEvent} to `port`. */
  subscribe(port: import('node:worker_threads').MessagePort): Promise<void>;
}
