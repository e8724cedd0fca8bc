/**
 * Ends processes of a service about which no information is left, because its state file or its runtime folder is
 * damaged. They are found by the FIFOs of that folder, which they hold open and which the kernel lists even after they
 * were deleted.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MonocoreError } from '../../lib/errors.ts';
import {
  identify,
  isAlive,
  isRunning,
  listDescriptors,
  listPids,
  type ProcessIdentity,
  readStat,
} from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';

/** FIFOs that only the leader of a service's process group holds open; its command does not inherit them. */
const OF_LEADER = new Set(['release.fifo', 'console.fifo']);

const POLL_INTERVAL_MS = 10;
const KILL_TIMEOUT_MS = 10_000;

/** Process to end, with the number of its process group. */
interface Stray {
  readonly identity: ProcessIdentity;
  readonly group: number;
}

/**
 * Kills the process groups of a service that no daemon supervises, and waits for their end. A group with a living
 * leader belongs to the service only if the leader holds a FIFO that commands do not inherit: a process with a group of
 * its own may hold the streams, too. Call this before anything of that name is launched. Main thread.
 *
 * @param dir runtime folder of the service, which may be gone
 * @param known process of the service, whatever it holds open; null for none
 * @returns the number of processes that were found
 * @throws MonocoreError `StopFailed` if one does not end
 */
export async function endStrays(dir: string, known: ProcessIdentity | null): Promise<number> {
  const strays = findStrays(dir);
  if (known && isRunning(known)) strays.push({ identity: known, group: readStat(known.pid)?.group ?? known.pid });
  for (const { group } of strays) killGroup(group);
  const left = () => strays.filter(({ identity }) => isRunning(identity));
  if (await pollUntil(() => left().length === 0, POLL_INTERVAL_MS, KILL_TIMEOUT_MS)) return strays.length;
  const pids = left().map(({ identity }) => identity.pid);
  throw new MonocoreError('StopFailed', `processes ${pids.join(', ')} of ${basename(dir)} did not end after SIGKILL`);
}

function findStrays(dir: string): Stray[] {
  // Path as the kernel lists it: without symbolic links.
  const start = `${join(realpathSync(dirname(dir)), basename(dir))}/`;
  const own = readStat('self')?.group;
  return listPids().flatMap((pid) => {
    const group = readStat(pid)?.group;
    // This process also holds FIFOs of its services open.
    if (group === undefined || group === own || pid === process.pid) return [];
    const fifos = fifosBelow(start, pid);
    const isStray =
      fifos.length > 0 && (!isAlive(group) || fifosBelow(start, group).some((fifo) => OF_LEADER.has(fifo)));
    const identity = isStray ? identify(pid) : null;
    return identity ? [{ identity, group }] : [];
  });
}

/** Names of the FIFOs directly in a folder that a process holds open. */
function fifosBelow(start: string, pid: number): string[] {
  return listDescriptors(pid).flatMap(({ target }) => {
    const name = target.startsWith(start) ? target.slice(start.length).replace(/ \(deleted\)$/, '') : '';
    return /^\w+\.fifo$/.test(name) ? [name] : [];
  });
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // The process has ended meanwhile.
  }
}
