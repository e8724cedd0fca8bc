/** Files of a cgroup and their content. Pure. */
import type { Controller } from './host-cgroups.ts';

/** Limits of a service that need a cgroup; null leaves a limit to the kernel. */
export interface CgroupLimits {
  /** Maximum memory in bytes, including kernel memory and page cache. */
  readonly memoryBytes: number | null;
  /** Maximum processor time, in processors. */
  readonly cpus: number | null;
  /** CPU weight relative to siblings, 1024 by default. */
  readonly cpuShares: number | null;
}

/** File of a cgroup and its content. */
export interface CgroupSetting {
  readonly file: string;
  readonly value: string;
}

/** Period of the kernel by default, see cpu.cfs_period_us in its documentation of CFS bandwidth control. */
const CPU_PERIOD_US = 100_000;
const USUAL_SHARES = 1024;
/** Default and limits of cpu.weight, see the kernel's documentation of cgroup v2. */
const USUAL_WEIGHT = 100;
const MIN_WEIGHT = 1;
const MAX_WEIGHT = 10_000;

/**
 * Converts `shares` of cgroup v1 to a weight of v2. Proportionally, as in systemd (`cgroup_cpu_shares_to_weight` in its
 * src/core/cgroup.c): the default of one is converted to the default of the other, so services with and without
 * explicit shares compare as they do in v1. runc's first formula converted 1024 to 39, against 100 for all others.
 */
export function weightOfShares(shares: number): number {
  const weight = Math.floor((shares * USUAL_WEIGHT) / USUAL_SHARES);
  return Math.min(Math.max(weight, MIN_WEIGHT), MAX_WEIGHT);
}

/** True if any of the limits needs the controller. */
export function needsController(controller: Controller, { memoryBytes, cpus, cpuShares }: CgroupLimits): boolean {
  return controller === 'memory' ? memoryBytes !== null : cpus !== null || cpuShares !== null;
}

/** Settings for the limits of one controller, in the order in which they must be written. */
export function renderSettings(version: 1 | 2, controller: Controller, limits: CgroupLimits): CgroupSetting[] {
  const { memoryBytes, cpus, cpuShares } = limits;
  const settings: CgroupSetting[] = [];
  const set = (file: string, value: string | number) => settings.push({ file, value: String(value) });
  if (controller === 'memory') {
    if (memoryBytes !== null) set(version === 1 ? 'memory.limit_in_bytes' : 'memory.max', memoryBytes);
    return settings;
  }
  if (cpuShares !== null) {
    if (version === 1) set('cpu.shares', cpuShares);
    else set('cpu.weight', weightOfShares(cpuShares));
  }
  if (cpus !== null) {
    const quotaUs = Math.round(cpus * CPU_PERIOD_US);
    if (version === 2) set('cpu.max', `${quotaUs} ${CPU_PERIOD_US}`);
    else {
      set('cpu.cfs_period_us', CPU_PERIOD_US);
      set('cpu.cfs_quota_us', quotaUs);
    }
  }
  return settings;
}
