/**
 * Ends what a command left running in its process group when the group's leader, the shim, has ended. The kernel gives a
 * number to no new process while a group has it (fork(2) takes a free one), so of a group that still has members the
 * number cannot have come round again.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { identify, isSameProcess } from '../../lib/proc.ts';
import type { ProcessIdentity } from '../backend.ts';

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
    listOpenFiles(member).some((path) => {
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

/** Pids of a group: field 5 of `/proc/<pid>/stat`, proc(5), counted from behind the command's name. */
function listMembers(group: number): number[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.map(Number).filter((pid) => {
    const stat = ifThere(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return stat !== null && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group;
  });
}

function listOpenFiles(pid: number): string[] {
  const dir = `/proc/${pid}/fd`;
  return (ifThere(() => readdirSync(dir)) ?? []).map((fd) => `${dir}/${fd}`);
}

/** What tells one file from another; null for one that is gone. */
function fileOf(path: string): string | null {
  return ifThere(() => {
    const { dev, ino } = statSync(path);
    return `${dev} ${ino}`;
  });
}

/** Processes end while they are looked at, and some belong to others. */
function ifThere<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
