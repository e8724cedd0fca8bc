/** Metrics worker: samples of all watched processes, one batch per interval, and health probes of their ports. */
import type { MetricsApi, MetricsBoot } from '../src/protocol/metrics.ts';
import { serve } from '../src/threads/entry.ts';
import { createMetricsApi } from './metrics/api.ts';
import { growDescriptorTable } from './metrics/descriptor-table.ts';

await serve<MetricsApi, MetricsBoot>(({ data: { intervalMs }, events }) => createMetricsApi(intervalMs, events));
// In this thread, because a starting daemon waits for all others.
setImmediate(growDescriptorTable);
