/** Watched processes, and the cost of each since its previous sample. */

import type { DiskBytes, openProcFiles, ProcFiles } from '../../src/lib/proc.ts';
import type { Metrics } from '../../src/protocol/service.ts';
import type { ProcessId, Usage, UsagePoller } from './usage.ts';

interface Watched extends ProcessId {
  readonly files: ProcFiles;
  usage: Usage | null;
  disk: DiskBytes | null;
}

/** Samples processes by the name of their service. */
export class Sampler {
  readonly #open: typeof openProcFiles;
  readonly #poller: UsagePoller;
  readonly #watched = new Map<string, Watched>();

  constructor(open: typeof openProcFiles, poller: UsagePoller) {
    this.#open = open;
    this.#poller = poller;
  }

  get size(): number {
    return this.#watched.size;
  }

  /** Samples the process that has `pid` now as `service`, from the next {@link Sampler.sample} until it has ended. */
  watch(service: string, pid: number): void {
    this.unwatch(service);
    const files = this.#open(pid);
    if (files) this.#watched.set(service, { pid, startTicks: files.startTicks, files, usage: null, disk: null });
  }

  /** Unknown names are ignored. */
  unwatch(service: string): void {
    this.#watched.get(service)?.files.close();
    this.#watched.delete(service);
  }

  /** Samples one batch and drops processes that have ended, even when others have their pids by now. Calls must not overlap. */
  async sample(): Promise<Record<string, Metrics>> {
    this.#dropEnded();
    const batch = [...this.#watched];
    const usages = await this.#poller.poll(batch.map(([, watched]) => watched));
    this.#dropEnded();
    const samples: Record<string, Metrics> = {};
    for (const [service, watched] of batch) {
      // It may have been unwatched, or replaced, while pidusage was reading.
      if (this.#watched.get(service) !== watched) continue;
      samples[service] = this.#measure(watched, usages.get(watched.pid) ?? null);
    }
    return samples;
  }

  #measure(watched: Watched, usage: Usage | null): Metrics {
    const disk = watched.files.readDiskBytes();
    const before = { usage: watched.usage, disk: watched.disk };
    watched.usage = usage;
    watched.disk = disk;
    return {
      cpu_usage: before.usage && usage && cpuPercent(before.usage, usage),
      memory_usage: usage?.memoryBytes ?? null,
      disk_read_bytes: before.disk && disk && disk.read - before.disk.read,
      disk_write_bytes: before.disk && disk && disk.write - before.disk.write,
      total_disk_read_bytes: disk?.read ?? null,
      total_disk_write_bytes: disk?.write ?? null,
    };
  }

  #dropEnded(): void {
    for (const [service, { files }] of this.#watched) if (!files.isAlive()) this.unwatch(service);
  }
}

/** Per cent of one core; null when no time has passed by the kernel's clock. */
function cpuPercent(before: Usage, now: Usage): number | null {
  const elapsedMs = now.ageMs - before.ageMs;
  return elapsedMs > 0 ? (100 * (now.cpuTimeMs - before.cpuTimeMs)) / elapsedMs : null;
}
