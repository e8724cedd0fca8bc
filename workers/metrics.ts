/** The metrics worker: one batch of samples for all watched processes per interval, and probes of their ports. */
import type { MessagePort } from 'node:worker_threads';
import { openProcFiles } from '../src/lib/proc.ts';
import type { MetricsApi, MetricsBoot, MetricsEvent } from '../src/protocol/metrics.ts';
import { serve } from '../src/threads/entry.ts';
import { growDescriptorTable } from './metrics/descriptor-table.ts';
import { NetworkProber } from './metrics/health-probes.ts';
import { Sampler } from './metrics/sampler.ts';
import { runEvery } from './metrics/schedule.ts';
import { UsagePoller } from './metrics/usage.ts';

/** Intervals that pidusage keeps a file open for: enough to get over a slow batch, which skips one. */
const MAX_AGE_INTERVALS = 3;

await serve<MetricsApi, MetricsBoot>(({ data: { intervalMs }, events }) => {
  const sampler = new Sampler(openProcFiles, new UsagePoller(MAX_AGE_INTERVALS * intervalMs));
  const prober = new NetworkProber();
  const ports = new Set<MessagePort>([events]);

  runEvery(intervalMs, async () => {
    if (sampler.size === 0) return;
    const event: MetricsEvent = { type: 'samples', samples: await sampler.sample() };
    for (const port of ports) port.postMessage(event);
  });

  return {
    async watch(changes) {
      for (const { service, pid } of changes) {
        if (pid === null) sampler.unwatch(service);
        else sampler.watch(service, pid);
      }
    },
    probe: (id, probe, timeoutMs) => prober.probe(id, probe, timeoutMs),
    async cancelProbe(id) {
      prober.cancel(id);
    },
    async subscribe(port) {
      ports.add(port);
      port.once('close', () => ports.delete(port));
    },
  };
});
// The one thread that nobody waits for while a daemon begins.
setImmediate(growDescriptorTable);
