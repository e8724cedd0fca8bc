/**
 * Ends what a command left running in its process group when the group's leader, the shim, has ended. The kernel gives a
 * number to no new process while a group has it (fork(2) takes a free one), so of a group that still has members the
 * number cannot have come round again.
 */
import { statSync } from 'node:fs';
import { identify, isSameProcess, listDescriptors, listPids, type ProcessIdentity, readStat } from '../../lib/proc.ts';

/** To be called as soon as the leader has ended. Main thread. */
export function killGroup(leader: ProcessIdentity): void {
  // Where the pid is in use again the group had no members.
  if (identify(leader.pid) && !isSameProcess(leader)) return;
  signalGroup(leader.pid, 'SIGKILL');
}

/**
 * For a leader that ended while no daemon ran: meanwhile its group may have ended and another one may have got the
 * number. So it is ended only if one of its members holds one of the service's FIFOs, which nobody else has opened.
 * Main thread.
 *
 * @param fifoPaths what the command inherited
 */
export function killForgottenGroup({ pid }: ProcessIdentity, fifoPaths: readonly string[]): void {
  // Spares a look at every process of the host.
  if (!signalGroup(pid, 0)) return;
  const fifos = new Set(fifoPaths.map(fileOf));
  const holdsOne = (member: number): boolean =>
    listDescriptors(member).some(({ path }) => {
      const file = fileOf(path);
      return file !== null && fifos.has(file);
    });
  if (listMembers(pid).some(holdsOne)) signalGroup(pid, 'SIGKILL');
}

/** Returns whether there is such a group. */
function signalGroup(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-id, signal);
  } catch {
    return false;
  }
}

function listMembers(group: number): number[] {
  return listPids().filter((pid) => readStat(pid)?.group === group);
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
