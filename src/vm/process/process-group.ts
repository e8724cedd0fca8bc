/**
 * Kill of the processes that a command left in its process group, after the group's leader, the shim, has ended. The kernel
 * gives no new process the number of a group that still has members, so the number cannot belong to another group.
 */
import { identify, isSameProcess, killProcesses, type ProcessIdentity, ProcessTree } from '../../lib/proc.ts';

/** Kills the group; to be called as soon as the leader has ended. Main thread. */
export function killGroup(leader: ProcessIdentity): void {
  // A pid that is in use again proves that the group had no members.
  if (identify(leader.pid) && !isSameProcess(leader)) return;
  signalGroup(leader.pid, 'SIGKILL');
}

/** Kills the processes that descend from a shim, those outside of its group among them; the shim itself lives on. */
export function killTree(shim: ProcessIdentity): void {
  if (!isSameProcess(shim)) return;
  killProcesses(new ProcessTree().read()(shim.pid));
}

/** True while a group has the number of that leader; after the leader's end it may be another one. */
export function hasGroup({ pid }: ProcessIdentity): boolean {
  return signalGroup(pid, 0);
}

/** Returns false when there is no such group. */
function signalGroup(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-id, signal);
  } catch {
    return false;
  }
}
