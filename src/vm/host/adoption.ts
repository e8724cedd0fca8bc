/** Finds the process of a VM that an earlier daemon launched. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { findByArgument, isRunning, type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';
import { adoptedProcess, type HostProcess } from './host-process.ts';

/**
 * The process of a VM, or null when it is gone. One whose runtime folder was deleted is ended: nobody can reach its
 * streams and its sockets any more, and it would run on beside the next one. Where the daemon ended between the launch
 * and the note of it, the process is known only by a path in its arguments that no other has: it is killed, because its
 * launch never ended.
 *
 * @param identity from the state file
 * @param ownPath a path in the VM's runtime folder that is in the process's arguments
 */
export async function findAdopted(identity: ProcessIdentity | null, ownPath: string): Promise<HostProcess | null> {
  if (identity && !isRunning(identity)) return null;
  if (identity && existsSync(dirname(ownPath))) return adoptedProcess(identity);
  await (identity ? killAll([identity]) : killByArgument(ownPath));
  return null;
}

/** Ends the processes, and their groups, that have `path` as an argument or in one. Main thread. */
export async function killByArgument(path: string): Promise<void> {
  await killAll(findByArgument(path));
}

async function killAll(processes: readonly ProcessIdentity[]): Promise<void> {
  for (const process of processes) signalProcess(process, 'SIGKILL', 'group');
  await pollUntil(() => !processes.some(isRunning), 10);
}
