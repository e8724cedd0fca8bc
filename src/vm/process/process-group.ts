/**
 * Kills the processes that a command left in its process group, after the leader of the group, the shim, has ended. The
 * kernel does not reuse the number of a group that still has members, so the number cannot belong to another group.
 */
import { identify, isSameProcess, killProcesses, type ProcessIdentity, ProcessTree } from '../../lib/proc.ts';

/** Kills the group. Call this as soon as the leader has ended. Main thread. */
export function killGroup(leader: ProcessIdentity): void {
  // If the pid has been reused, the group had no members left.
  if (identify(leader.pid) && !isSameProcess(leader)) return;
  signalGroup(leader.pid, 'SIGKILL');
}

/** Kills all descendants of a shim, including those outside of its group; the shim itself keeps running. */
export function killTree(shim: ProcessIdentity): void {
  if (!isSameProcess(shim)) return;
  killProcesses(new ProcessTree().read()(shim.pid));
}

/** True while a group has the number of that leader; after the leader's end it may be a different group. */
export function hasGroup({ pid }: ProcessIdentity): boolean {
  return signalGroup(pid, 0);
}

/** Signals a group; false if it does not exist. */
function signalGroup(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-id, signal);
  } catch {
    return false;
  }
}
