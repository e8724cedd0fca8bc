/** Watched processes, the files that are kept open for each, and its last reading. */
import { type openProcFiles, ProcessTree, type ProcFiles } from '../../src/lib/proc.ts';
import type { Metrics } from '../../src/protocol/service.ts';
import { ServiceGroup } from './service-group.ts';
import { metricsBetween, NOTHING_READ, type ProcessId, type Reading, type UsagePoller } from './usage.ts';

interface Watched extends ProcessId {
  readonly files: ProcFiles;
  readonly group: ServiceGroup;
  last: Reading;
}

/** Samples processes, keyed by the name of their service. */
export class Sampler {
  readonly #open: typeof openProcFiles;
  readonly #poller: UsagePoller;
  readonly #watched = new Map<string, Watched>();
  readonly #tree = new ProcessTree();

  constructor(open: typeof openProcFiles, poller: UsagePoller) {
    this.#open = open;
    this.#poller = poller;
  }

  get size(): number {
    return this.#watched.size;
  }

  /**
   * Samples the process that currently has `pid` for `service`, from the next {@link Sampler.sample} until it has
   * ended.
   */
  watch(service: string, pid: number): void {
    this.unwatch(service);
    const files = this.#open(pid);
    if (!files) return;
    const group = new ServiceGroup(pid);
    this.#watched.set(service, { pid, startTicks: files.startTicks, files, group, last: NOTHING_READ });
  }

  /** Stops sampling a service. Ignores unknown names. */
  unwatch(service: string): void {
    this.#watched.get(service)?.files.close();
    this.#watched.delete(service);
  }

  /**
   * Samples one batch and drops processes that have ended, even if their pids have been reused. Calls must not overlap.
   */
  async sample(): Promise<Record<string, Metrics>> {
    this.#dropEnded();
    const batch = [...this.#watched];
    const usages = await this.#poller.poll(batch.map(([, watched]) => watched));
    this.#dropEnded();
    // If cgroups list the processes of every service, there is no need to examine all processes of the host.
    const descendantsOf = batch.some(([, { group }]) => group.needsTree) ? this.#tree.read() : () => [];
    const samples: Record<string, Metrics> = {};
    for (const [service, watched] of batch) {
      // It may have been unwatched or replaced while pidusage was reading.
      if (this.#watched.get(service) !== watched) continue;
      const { pid, group, files } = watched;
      const main = usages.get(pid);
      const usage = main ? group.read(main, group.needsTree ? descendantsOf(group.root) : []) : null;
      const reading = { usage, disk: files.readDiskBytes() };
      samples[service] = metricsBetween(watched.last, reading);
      watched.last = reading;
    }
    return samples;
  }

  #dropEnded(): void {
    for (const [service, { files }] of this.#watched) if (!files.isAlive()) this.unwatch(service);
  }
}
