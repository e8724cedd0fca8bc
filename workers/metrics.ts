/** Metrics worker: samples all watched processes, in one batch per interval, and runs health probes on ports. */
import type { MetricsApi, MetricsBoot } from '../src/protocol/metrics.ts';
import { serve } from '../src/threads/entry.ts';
import { createMetricsApi } from './metrics/api.ts';
import { growDescriptorTable } from './metrics/descriptor-table.ts';

await serve<MetricsApi, MetricsBoot>(({ data: { intervalMs }, events }) => createMetricsApi(intervalMs, events));
// In this thread, because a starting daemon waits for all others.
setImmediate(growDescriptorTable);
