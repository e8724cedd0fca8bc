/**
 * Kill of the processes that a command left in its process group, after the group's leader, the shim, has ended. The kernel
 * gives no new process the number of a group that still has members, so the number cannot belong to another group.
 */
import { statSync } from 'node:fs';
import {
  identify,
  isSameProcess,
  listDescriptors,
  listPids,
  type ProcessIdentity,
  readProcessTree,
  readStat,
  signalProcess,
} from '../../lib/proc.ts';

/** Kills the group; to be called as soon as the leader has ended. Main thread. */
export function killGroup(leader: ProcessIdentity): void {
  // A pid that is in use again proves that the group had no members.
  if (identify(leader.pid) && !isSameProcess(leader)) return;
  signalGroup(leader.pid, 'SIGKILL');
}

/** Kills the processes that descend from a shim, those outside of its group among them; the shim itself lives on. */
export function killTree(shim: ProcessIdentity): void {
  if (!isSameProcess(shim)) return;
  for (const pid of readProcessTree()(shim.pid)) {
    const identity = identify(pid);
    if (identity) signalProcess(identity, 'SIGKILL', 'process');
  }
}

/**
 * Kills the group of a leader that ended while no daemon ran. Meanwhile another group may have got its number, so it is
 * killed only if one of its members holds one of the service's FIFOs, which no other process has open. Main thread.
 *
 * @param fifoPaths FIFOs that the command inherited
 */
export function killForgottenGroup({ pid }: ProcessIdentity, fifoPaths: readonly string[]): void {
  // Usually there is none, which saves a look at every process of the host.
  if (!signalGroup(pid, 0)) return;
  const fifos = new Set(fifoPaths.map(fileOf));
  const holdsOne = (member: number): boolean =>
    listDescriptors(member).some(({ path }) => {
      const file = fileOf(path);
      return file !== null && fifos.has(file);
    });
  const members = listPids().filter((member) => readStat(member)?.group === pid);
  if (members.some(holdsOne)) signalGroup(pid, 'SIGKILL');
}

/** Returns false when there is no such group. */
function signalGroup(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-id, signal);
  } catch {
    return false;
  }
}

/** Device and inode of a file; null for one that is gone. */
function fileOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path);
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
