/** Creation and removal of cgroups for services. Main thread. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorText } from '../../../lib/errors.ts';
import { killProcesses } from '../../../lib/proc.ts';
import type { CgroupSetting } from './cgroup-settings.ts';
import { type CgroupPlace, CONTROLLERS, type Controller, DAEMON_CGROUP, type HostCgroups } from './host-cgroups.ts';

/**
 * Time to remove a cgroup. A killed process leaves its cgroup when it is scheduled next, or later if it is waiting for
 * a disk.
 */
const REMOVE_TIMEOUT_MS = 5000;
const RETRY_MS = 10;

async function enable(place: CgroupPlace, controller: Controller): Promise<CgroupPlace> {
  if (place.type === 'unusable' || place.evacuate === null) return place;
  const { dir, evacuate } = place;
  try {
    if (evacuate.length > 0) await mkdir(join(dir, DAEMON_CGROUP), { recursive: true });
    for (const pid of evacuate) {
      await writeFile(join(dir, DAEMON_CGROUP, 'cgroup.procs'), String(pid)).catch((error: unknown) => {
        // It has ended in the meantime.
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
 * Prepares folders for cgroups of services: for v2 enables the controllers, for which the daemon may have to move to a
 * cgroup of its own.
 */
export async function openPlaces(found: HostCgroups): Promise<HostCgroups> {
  const places = { ...found };
  for (const controller of CONTROLLERS) places[controller] = await enable(places[controller], controller);
  return places;
}

/** Creates a cgroup; an existing one of that name is removed first. @throws the system error */
export async function makeCgroup(dir: string): Promise<void> {
  await removeCgroup(dir);
  await mkdir(dir);
}

/** Writes settings; returns those that the kernel rejects, for people. */
export async function writeSettings(dir: string, settings: readonly CgroupSetting[]): Promise<string[]> {
  const refused: string[] = [];
  for (const { file, value } of settings) {
    await writeFile(join(dir, file), value).catch((error: unknown) => {
      refused.push(`${value} cannot be written to ${join(dir, file)}: ${errorText(error)}`);
    });
  }
  return refused;
}

/** Kills the processes in a cgroup; does nothing if it does not exist. */
export async function killMembers(dir: string): Promise<void> {
  try {
    // Since Linux 5.14, only v2: kills all at once, including processes that are being forked.
    await writeFile(join(dir, 'cgroup.kill'), '1', { flag: 'r+' });
    return;
  } catch {
    // Without that file, kill them one by one, repeatedly while some are left.
  }
  const members = await readFile(join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
  killProcesses(members.split('\n').filter(Boolean).map(Number));
}

/**
 * Removes a cgroup whose service has ended, and kills processes in it that left the service's process group. Does
 * nothing if it does not exist; if it cannot be removed in time, the next launch removes it.
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

/** Ends a systemd scope and the processes in it; systemd removes its cgroup. Does nothing if it does not exist. */
export async function endScope(dir: string): Promise<void> {
  const endMs = performance.now() + REMOVE_TIMEOUT_MS;
  while (existsSync(dir) && performance.now() < endMs) {
    await killMembers(dir);
    await delay(RETRY_MS);
  }
}
