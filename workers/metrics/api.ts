/** API of the metrics worker. */
import type { MessagePort } from 'node:worker_threads';
import { openProcFiles } from '../../src/lib/proc.ts';
import type { MetricsApi, MetricsEvent } from '../../src/protocol/metrics.ts';
import { NetworkProber } from './health-probes.ts';
import { Sampler } from './sampler.ts';
import { runEvery } from './schedule.ts';
import { UsagePoller } from './usage.ts';

/** Number of intervals for which pidusage keeps a file open: enough to survive a slow batch, which skips one. */
const MAX_AGE_INTERVALS = 3;

/** Starts sampling. @param events receives each batch, like every subscriber */
export function createMetricsApi(intervalMs: number, events: MessagePort): MetricsApi {
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
}
