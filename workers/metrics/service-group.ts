/**
 * CPU time and memory of all processes of a service: those in its cgroup, or else the descendants of its main process.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  findCgroupFolder,
  readCgroups,
  readMounts,
  readProcessFile,
  readStat,
  TICKS_PER_SECOND,
} from '../../src/lib/proc.ts';
import type { Usage } from './usage.ts';

/** Path of a cgroup that was created for a single service. */
const OWN_CGROUP = /^.*\/monocore-[0-9a-f]{8}-[^/]+(?=\/|$)/;

/** Counters of memory.stat whose sum is the resident memory, by cgroup version. */
const RESIDENT = { 1: ['total_rss', 'total_mapped_file'], 2: ['anon', 'file_mapped'] } as const;

/** Cgroup of a service. */
interface Cgroup {
  readonly version: 1 | 2;
  readonly dir: string;
}

/** Processes of one service. */
export class ServiceGroup {
  readonly #pid: number;
  readonly #cgroup: Cgroup | null;
  /** Ancestor of all of them; used if no cgroup lists them. */
  readonly root: number;
  /** CPU time of the other processes at the last reading, by pid and start time. */
  #others = new Map<string, number>();
  #othersCpuMs = 0;

  /** Creates the group. @param pid main process: a command under its shim, or a VM */
  constructor(pid: number) {
    this.#pid = pid;
    this.#cgroup = findCgroup(pid);
    this.root = findRoot(pid);
  }

  /** True if {@link ServiceGroup.read} needs the descendants of the root. */
  get needsTree(): boolean {
    return this.#cgroup === null;
  }

  /**
   * Total usage of the service.
   *
   * @param main usage of its main process
   * @param tree descendants of the root; ignored if a cgroup lists the processes
   */
  read(main: Usage, tree: readonly number[]): Usage {
    const cgroup = this.#cgroup;
    const memoryBytes = cgroup && readResidentBytes(cgroup);
    const cpuTimeMs = cgroup?.version === 2 ? readCpuMs(cgroup.dir) : null;
    if (memoryBytes !== null && cpuTimeMs !== null) return { ...main, memoryBytes, cpuTimeMs };
    const others = cgroup ? readNumbers(join(cgroup.dir, 'cgroup.procs')) : tree;
    const othersBytes = this.#readOthers(others.filter((pid) => pid !== this.#pid));
    return {
      ...main,
      cpuTimeMs: cpuTimeMs ?? main.cpuTimeMs + this.#othersCpuMs,
      memoryBytes: memoryBytes ?? main.memoryBytes + othersBytes,
    };
  }

  /** Adds the CPU time that the other processes used since the last reading. @returns their resident memory, bytes */
  #readOthers(pids: readonly number[]): number {
    const known = new Map<string, number>();
    let bytes = 0;
    for (const pid of pids) {
      const stat = readStat(pid);
      if (!stat) continue;
      const key = `${pid} ${stat.startTicks}`;
      const cpuMs = (stat.cpuTicks * 1000) / TICKS_PER_SECOND;
      this.#othersCpuMs += cpuMs - (this.#others.get(key) ?? 0);
      known.set(key, cpuMs);
      bytes += 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readProcessFile(pid, 'status') ?? '')?.[1] ?? 0);
    }
    this.#others = known;
    return bytes;
  }
}

/** Root of the processes: the shim of a plain process is the parent of everything that its command leaves behind. */
function findRoot(pid: number): number {
  const parent = readStat(pid)?.parent ?? 0;
  try {
    return basename(readlinkSync(`/proc/${parent}/exe`)) === 'monocore-shim' ? parent : pid;
  } catch {
    return pid;
  }
}

function findCgroup(pid: number): Cgroup | null {
  const mounts = readMounts();
  for (const { path, isV2, controllers } of readCgroups(pid)) {
    const [own] = OWN_CGROUP.exec(path) ?? [];
    if (own === undefined || !(isV2 || controllers.includes('memory'))) continue;
    const hierarchy = mounts.filter(({ type, options }) =>
      isV2 ? type === 'cgroup2' : type === 'cgroup' && options.includes('memory'),
    );
    const dir = findCgroupFolder(hierarchy, own)?.dir;
    if (dir !== undefined) return { version: isV2 ? 2 : 1, dir };
  }
  return null;
}

/** Null if the controller is not available or the cgroup is gone. */
function readResidentBytes({ version, dir }: Cgroup): number | null {
  const counters = new Map(readLines(join(dir, 'memory.stat')).map((line) => line.split(' ') as [string, string]));
  const values = RESIDENT[version].map((name) => counters.get(name));
  return values.includes(undefined) ? null : values.reduce((sum, value) => sum + Number(value), 0);
}

function readCpuMs(dir: string): number | null {
  const usage = readLines(join(dir, 'cpu.stat')).find((line) => line.startsWith('usage_usec '));
  return usage === undefined ? null : Number(usage.split(' ')[1]) / 1000;
}

function readNumbers(path: string): number[] {
  return readLines(path).map(Number);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
