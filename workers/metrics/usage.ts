/**
 * Metrics of processes, computed from two readings of each. pidusage reads CPU and memory of many processes at once;
 * this file works around its pitfalls (4.1):
 *
 * - It keeps `/proc/<pid>/stat` of each pid open until `maxage` after the last poll; polling again prolongs that. If
 *   the pid is reused meanwhile, it is read through the file of the dead process, which fails each time. So a pid whose
 *   process has changed is not polled until its file is closed.
 * - Its own CPU percentage is 0 for the first poll and after a pause longer than `maxage`; so the caller computes it
 *   from the CPU time.
 * - It rejects an empty list, and a list of one if that process is gone; in longer lists the entry is missing.
 * - It loses track of the file of a process that ends between being opened and first being read, and never closes it.
 *   So the open files are searched for each pid that is missing from its first result.
 * - `clear()` forgets the files without closing them: never call it.
 */
import { closeSync } from 'node:fs';
import pidusage from 'pidusage';
import { type DiskBytes, listDescriptors } from '../../src/lib/proc.ts';
import type { Metrics } from '../../src/protocol/service.ts';

export interface Usage {
  /** CPU time in user and kernel mode since the start of the process, milliseconds. */
  readonly cpuTimeMs: number;
  /** Time since the start of the process, milliseconds, to hundredths of a second. */
  readonly ageMs: number;
  /** Resident memory in bytes. */
  readonly memoryBytes: number;
}

/** Counters of a process at a point in time; null for those that could not be read. */
export interface Reading {
  readonly usage: Usage | null;
  readonly disk: DiskBytes | null;
}

export const NOTHING_READ: Reading = Object.freeze({ usage: null, disk: null });

/** Metrics at `now`; differences are null if the value in `before` is missing. Pure. */
export function metricsBetween(before: Reading, now: Reading): Metrics {
  const { usage, disk } = now;
  return {
    cpu_usage: before.usage && usage && cpuPercent(before.usage, usage),
    memory_usage: usage?.memoryBytes ?? null,
    disk_read_bytes: before.disk && disk && disk.read - before.disk.read,
    disk_write_bytes: before.disk && disk && disk.write - before.disk.write,
    total_disk_read_bytes: disk?.read ?? null,
    total_disk_write_bytes: disk?.write ?? null,
  };
}

/** Percentage of one core; null if no time has passed by the kernel's clock. */
function cpuPercent(before: Usage, now: Usage): number | null {
  const elapsedMs = now.ageMs - before.ageMs;
  return elapsedMs > 0 ? (100 * (now.cpuTimeMs - before.cpuTimeMs)) / elapsedMs : null;
}

/** Process; the start time distinguishes it from a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  readonly startTicks: number;
}

/** Number of times per `maxage` that pidusage looks for files to close, see its history.js. */
const SWEEPS_PER_MAX_AGE = 2;

/** Polls processes through pidusage. One instance per thread, because pidusage keeps a global history. */
export class UsagePoller {
  readonly #maxAgeMs: number;
  /** Process whose file pidusage holds, by pid, and the time of its last poll by `performance.now()`. */
  readonly #holders = new Map<number, { startTicks: number; polledAtMs: number }>();

  /** Creates the poller. @param maxAgeMs how long pidusage keeps the file of a pid that is no longer polled */
  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * Usage by pid. A process that has ended is missing, and so is, for a while, one whose pid has been reused. Never
   * rejects. Calls must not overlap.
   */
  async poll(processes: readonly ProcessId[]): Promise<ReadonlyMap<number, Usage>> {
    this.#forgetClosed();
    const pollable = processes.filter(({ pid, startTicks }) => {
      const holder = this.#holders.get(pid);
      return holder === undefined || holder.startTicks === startTicks;
    });
    if (pollable.length === 0) return new Map();
    const polledAtMs = performance.now();
    const first = pollable.map(({ pid }) => pid).filter((pid) => !this.#holders.has(pid));
    for (const { pid, startTicks } of pollable) this.#holders.set(pid, { startTicks, polledAtMs });

    const stats = await pidusage(
      pollable.map(({ pid }) => pid),
      { maxage: this.#maxAgeMs },
    ).catch(() => ({}));
    const usages = new Map<number, Usage>();
    // The types promise an entry for each pid; for one that is gone there is none, or null.
    for (const stat of Object.values<pidusage.Status | null | undefined>(stats)) {
      if (stat) usages.set(stat.pid, { cpuTimeMs: stat.ctime, ageMs: stat.elapsed, memoryBytes: stat.memory });
    }
    this.#closeLost(first.filter((pid) => !usages.has(pid)));
    return usages;
  }

  /**
   * Closes the files of these pids that pidusage has lost track of, after the time at which it should have closed them.
   */
  #closeLost(pids: readonly number[]): void {
    if (pids.length === 0) return;
    const paths = new Set(pids.map((pid) => `/proc/${pid}/stat`));
    const suspects = listDescriptors('self').filter(({ target }) => paths.has(target));
    if (suspects.length === 0) return;
    // By then, a file with the same path that another thread is reading now is closed or has been reopened.
    const timer = setTimeout(() => {
      const open = new Map(listDescriptors('self').map(({ fd, target }) => [fd, target]));
      for (const { fd, target } of suspects) if (open.get(fd) === target) closeSync(fd);
    }, this.#maxAgeMs * SWEEPS_PER_MAX_AGE);
    timer.unref();
  }

  #forgetClosed(): void {
    const closedBeforeMs = performance.now() - this.#maxAgeMs * (1 + 2 / SWEEPS_PER_MAX_AGE);
    for (const [pid, { polledAtMs }] of this.#holders) {
      if (polledAtMs < closedBeforeMs) this.#holders.delete(pid);
    }
  }
}
