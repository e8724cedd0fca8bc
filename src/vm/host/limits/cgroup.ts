/** Cgroups of services. Main thread. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorText } from '../../../lib/errors.ts';
import { killProcesses } from '../../../lib/proc.ts';
import type { CgroupSetting } from './cgroup-settings.ts';
import { type CgroupPlace, CONTROLLERS, type Controller, DAEMON_CGROUP, type HostCgroups } from './host-cgroups.ts';

/** A killed process leaves its cgroup when it is scheduled next; one that waits for a disk, later. */
const REMOVE_TIMEOUT_MS = 5000;
const RETRY_MS = 10;

async function enable(place: CgroupPlace, controller: Controller): Promise<CgroupPlace> {
  if (place.type === 'unusable' || place.evacuate === null) return place;
  const { dir, evacuate } = place;
  try {
    if (evacuate.length > 0) await mkdir(join(dir, DAEMON_CGROUP), { recursive: true });
    for (const pid of evacuate) {
      await writeFile(join(dir, DAEMON_CGROUP, 'cgroup.procs'), String(pid)).catch((error: unknown) => {
        // It ended meanwhile.
        if (errorCode(error) !== 'ESRCH') throw error;
      });
    }
    await writeFile(join(dir, 'cgroup.subtree_control'), `+${controller}`);
    return { ...place, evacuate: null };
  } catch (error) {
    return {
      type: 'unusable',
      reason: `the controller ${controller} cannot be enabled in ${dir}: ${errorText(error)}`,
    };
  }
}

/**
 * Prepares places for cgroups of services: under v2 enables the controllers, for which the daemon may have to move to a
 * cgroup of its own.
 */
export async function openPlaces(found: HostCgroups): Promise<HostCgroups> {
  const places = { ...found };
  for (const controller of CONTROLLERS) places[controller] = await enable(places[controller], controller);
  return places;
}

/** Makes a cgroup; an existing one of that name is removed first. @throws the system's error */
export async function makeCgroup(dir: string): Promise<void> {
  await removeCgroup(dir);
  await mkdir(dir);
}

/** Writes settings; returns those that the kernel refuses, for people. */
export async function writeSettings(dir: string, settings: readonly CgroupSetting[]): Promise<string[]> {
  const refused: string[] = [];
  for (const { file, value } of settings) {
    await writeFile(join(dir, file), value).catch((error: unknown) => {
      refused.push(`${value} cannot be written to ${join(dir, file)}: ${errorText(error)}`);
    });
  }
  return refused;
}

/** Kills the processes in a cgroup; does nothing where there is none. */
export async function killMembers(dir: string): Promise<void> {
  try {
    // Since Linux 5.14, v2 only: all of it at once, including processes that are being forked.
    await writeFile(join(dir, 'cgroup.kill'), '1', { flag: 'r+' });
    return;
  } catch {
    // There is no such file: kill one by one, and again while some are left.
  }
  const members = await readFile(join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
  killProcesses(members.split('\n').filter(Boolean).map(Number));
}

/**
 * Removes a cgroup whose service has ended, and kills the processes in it, which left the service's process group. Does
 * nothing where there is none; the next launch removes one that cannot be removed in time.
 */
export async function removeCgroup(dir: string): Promise<void> {
  const endMs = performance.now() + REMOVE_TIMEOUT_MS;
  for (;;) {
    try {
      await rmdir(dir);
      return;
    } catch (error) {
      if (errorCode(error) !== 'EBUSY' || performance.now() > endMs) return;
    }
    await killMembers(dir);
    await delay(RETRY_MS);
  }
}

/** Ends a scope of systemd, and the processes in it; systemd removes its cgroup. Does nothing where there is none. */
export async function endScope(dir: string): Promise<void> {
  const endMs = performance.now() + REMOVE_TIMEOUT_MS;
  while (existsSync(dir) && performance.now() < endMs) {
    await killMembers(dir);
    await delay(RETRY_MS);
  }
}
