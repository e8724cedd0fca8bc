/** Finds out where the daemon may create cgroups on this host, see cgroups(7). */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode, errorText, errorTextWithPath } from '../../../lib/errors.ts';
import { findCgroupFolder, type Mount, readCgroups, readMounts, readStat } from '../../../lib/proc.ts';

/** Controllers needed for the limits of services. */
export const CONTROLLERS = ['cpu', 'memory'] as const;
export type Controller = (typeof CONTROLLERS)[number];

/**
 * Name of the cgroup that the daemon moves to under cgroup v2, because a cgroup with limited children must not contain
 * processes itself. A systemd unit can start it there: `DelegateSubgroup=`, systemd.resource-control(5).
 */
export const DAEMON_CGROUP = 'monocore-daemon';

/** Folder for cgroups of one controller, or the reason why there is none, for people. */
export type CgroupPlace =
  | {
      readonly type: 'usable';
      readonly version: 1 | 2;
      /** Folder in which the cgroups of services are created. */
      readonly dir: string;
      /**
       * Processes that must move to {@link DAEMON_CGROUP} so that the controller can be enabled; null if it is enabled.
       */
      readonly evacuate: readonly number[] | null;
    }
  | { readonly type: 'unusable'; readonly reason: string };

export type HostCgroups = Readonly<Record<Controller, CgroupPlace>>;

function unusable(reason: string): CgroupPlace {
  return { type: 'unusable', reason };
}

function readWords(path: string): string[] {
  return readFileSync(path, 'utf8').split(/\s+/).filter(Boolean);
}

function findWriteObstacle(paths: readonly string[]): string | null {
  for (const path of paths) {
    try {
      accessSync(path, constants.W_OK);
    } catch (error) {
      return `the daemon may not write ${path} (${errorCode(error) ?? errorText(error)})`;
    }
  }
  return null;
}

/**
 * Processes that must leave `base` before its children can have controllers ("no internal processes", cgroups(7)), or
 * the reason why they must not be moved. Foreign processes are moved only if `base` is the topmost visible cgroup, as
 * in a container, where they belong to the container.
 */
function findMembersToMove(base: string, isTop: boolean): readonly number[] | string {
  // The real root does not have this file and is exempt from the rule.
  if (isTop && !existsSync(join(base, 'cgroup.type'))) return [];
  if (!isTop && base.endsWith('.service')) {
    return `the daemon's unit has no DelegateSubgroup=${DAEMON_CGROUP}, without which systemd may not start it again`;
  }
  const members = readWords(join(base, 'cgroup.procs')).map(Number);
  const others = members.filter((pid) => pid !== process.pid && !isOwnChild(pid));
  if (others.length === 0 || (isTop && !others.includes(0))) return members;
  return `other processes share the daemon's cgroup ${base}`;
}

/** True for the spawner, and for programs that the daemon runs briefly. */
function isOwnChild(pid: number): boolean {
  return readStat(pid)?.parent === process.pid;
}

function findV1Place(controller: Controller, path: string, mounts: readonly Mount[]): CgroupPlace {
  const candidates = mounts.filter(({ type, options }) => type === 'cgroup' && options.includes(controller));
  const own = findCgroupFolder(candidates, path);
  if (!own) return unusable(`the cgroup hierarchy of the controller ${controller} is not mounted`);
  const obstacle = findWriteObstacle([own.dir]);
  return obstacle === null ? { type: 'usable', version: 1, dir: own.dir, evacuate: null } : unusable(obstacle);
}

function findV2Place(controller: Controller, path: string, mounts: readonly Mount[]): CgroupPlace {
  const candidates = mounts.filter(({ type }) => type === 'cgroup2');
  const own = findCgroupFolder(candidates, path);
  if (!own) return unusable('no cgroup hierarchy is mounted');
  const moved = basename(own.dir) === DAEMON_CGROUP;
  const base = moved ? dirname(own.dir) : own.dir;
  if (!readWords(join(base, 'cgroup.controllers')).includes(controller)) {
    return unusable(`the controller ${controller} is not delegated to ${base}`);
  }
  const enabled = readWords(join(base, 'cgroup.subtree_control')).includes(controller);
  const written = enabled ? ['cgroup.procs'] : ['cgroup.procs', 'cgroup.subtree_control'];
  const obstacle = findWriteObstacle([base, ...written.map((name) => join(base, name))]);
  if (obstacle !== null) return unusable(obstacle);
  const evacuate = enabled ? null : findMembersToMove(base, own.isTop);
  if (typeof evacuate === 'string') return unusable(evacuate);
  return { type: 'usable', version: 2, dir: base, evacuate };
}

/**
 * Finds where this process may create cgroups; changes nothing. Any process.
 *
 * @param procDir `/proc`, or another folder in tests
 */
export function findHostCgroups(procDir = '/proc'): HostCgroups {
  const find = (controller: Controller): CgroupPlace => {
    try {
      const mounts = readMounts(procDir);
      const own = readCgroups('self', procDir);
      const v1 = own.find(({ controllers }) => controllers.includes(controller));
      if (v1) return findV1Place(controller, v1.path, mounts);
      const v2 = own.find(({ isV2 }) => isV2);
      return v2 ? findV2Place(controller, v2.path, mounts) : unusable(`the kernel has no controller ${controller}`);
    } catch (error) {
      return unusable(errorTextWithPath(error));
    }
  };
  return { cpu: find('cpu'), memory: find('memory') };
}
