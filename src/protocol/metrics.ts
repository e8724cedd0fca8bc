/** What other threads may ask of the metrics worker, and what it tells them. */
import type { NetworkProbe, ProbeResult } from './probe.ts';
import type { Metrics } from './service.ts';

/** Time between two samples. The seed samples at this interval too. */
export const SAMPLE_INTERVAL_MS = 2000;

/** What the metrics worker is started with. */
export interface MetricsBoot {
  /** {@link SAMPLE_INTERVAL_MS}, or less in tests. */
  readonly intervalMs: number;
}

/** Messages of the metrics worker, to the main thread and to the api worker alike: one batch per interval. */
export interface MetricsEvent {
  readonly type: 'samples';
  /** One entry per watched process that was alive, by service name. */
  readonly samples: Readonly<Record<string, Metrics>>;
}

/** Which process is sampled as `service` from now on; null for none. */
export interface WatchChange {
  readonly service: string;
  readonly pid: number | null;
}

/** Commands of the main thread. Exposed with comlink. */
export interface MetricsApi {
  /**
   * Samples processes from now on, or does so no more: to be told as soon as one has ended, because its pid may be used
   * again.
   */
  watch(changes: readonly WatchChange[]): Promise<void>;
  /**
   * Asks a port of 127.0.0.1. Never throws; its connection is closed when it answers.
   *
   * @param id chosen by the caller, for {@link MetricsApi.cancelProbe}
   * @returns null when there was no answer within `timeoutMs`
   */
  probe(id: number, probe: NetworkProbe, timeoutMs: number): Promise<ProbeResult | null>;
  /** Makes a probe answer at once. Unknown ids are ignored. */
  cancelProbe(id: number): Promise<void>;
  /** Posts a {@link MetricsEvent} to `port`, too, at each interval. */
  subscribe(port: import('node:worker_threads').MessagePort): Promise<void>;
}
