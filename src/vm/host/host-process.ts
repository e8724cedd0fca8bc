/** Process of a VM on the host, started by this daemon or adopted from an earlier one. Main thread. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findByArgument, isRunning, type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';
import type { SpawnRequest } from '../../protocol/spawner.ts';
import type { Exit } from '../backend.ts';

/** Interval of the check on a process that is not our child: only a parent is told of an end. */
const POLL_INTERVAL_MS = 250;
const KILL_POLL_INTERVAL_MS = 10;

export interface HostProcess {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, in a later turn of the event loop. */
  exited(): Promise<Exit>;
}

/** Starts processes that outlive the daemon, off the main thread; the daemon plugs in the spawner. */
export interface Spawner {
  /**
   * @param ownPath an argument, or a part of one, that no other process has: a process that the spawner started before it
   * died is found by it and killed
   * @throws MonocoreError `StartFailed` when the program cannot be executed; no process is left then
   */
  spawn(request: SpawnRequest, ownPath: string | null): Promise<HostProcess>;
}

/** A process that an earlier daemon started. Its exit code stays unknown. */
export function adoptedProcess(identity: ProcessIdentity): HostProcess {
  return {
    identity,
    async exited() {
      await delay(POLL_INTERVAL_MS);
      await pollUntil(() => !isRunning(identity), POLL_INTERVAL_MS);
      return { code: null, signal: null };
    },
  };
}

/**
 * Process of a VM that an earlier daemon launched, or null when it is gone. A process whose runtime folder was deleted is
 * killed: its streams and sockets cannot be reached any more, and it would run on beside the next one. Where the daemon
 * ended before it noted the identity, the process is found by a path in its arguments, and killed because its launch
 * never ended.
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

/** Kills the processes, and their groups, that have `path` as an argument or in one, and waits for their end. */
export async function killByArgument(path: string, timeoutMs?: number): Promise<void> {
  await killAll(findByArgument(path), timeoutMs);
}

async function killAll(processes: readonly ProcessIdentity[], timeoutMs?: number): Promise<void> {
  for (const process of processes) {
    // One that leads no group is part of another's.
    if (!signalProcess(process, 'SIGKILL', 'group')) signalProcess(process, 'SIGKILL', 'process');
  }
  await pollUntil(() => !processes.some(isRunning), KILL_POLL_INTERVAL_MS, timeoutMs);
}
