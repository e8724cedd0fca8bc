/** Host process of a VM, started by this daemon or adopted from an earlier one. Main thread. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  identify,
  isRunning,
  listChildren,
  type ProcessIdentity,
  readProcessFile,
  signalProcess,
} from '../../lib/proc.ts';
import { pollUntil, untilDone } from '../../lib/promises.ts';
import type { SpawnRequest } from '../../protocol/spawner.ts';
import type { Exit } from '../backend.ts';
import { readProcessRecord } from './process-record.ts';

/** Interval of checks on a process that is not our child: only the parent is notified of its end. */
const POLL_INTERVAL_MS = 250;
const KILL_POLL_INTERVAL_MS = 10;

export interface HostProcess {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, in a later turn of the event loop. */
  exited(): Promise<Exit>;
}

/** Starts processes that outlive the daemon, off the main thread; the daemon passes its spawner. */
export interface Spawner {
  /**
   * Starts a process.
   *
   * @param record file for the identity of the process, see `process-record.ts`; then `program` must be an absolute
   * path. It is used to find and kill a process whose start the spawner did not live to report. Null for a process that
   * may be lost
   * @throws MonocoreError `StartFailed` if the program cannot be executed; then no process is left
   */
  spawn(request: SpawnRequest, record: string | null): Promise<HostProcess>;
}

/** Process that an earlier daemon started. Its exit code stays unknown. */
export function adoptedProcess(identity: ProcessIdentity): HostProcess {
  return {
    identity,
    async exited() {
      await delay(POLL_INTERVAL_MS);
      await pollUntil(() => hasEnded(identity), POLL_INTERVAL_MS);
      return { code: null, signal: null };
    },
  };
}

/** True if the process has ended; false while that is unknown, for example because no file descriptor is free. */
function hasEnded(identity: ProcessIdentity): boolean {
  try {
    return !isRunning(identity);
  } catch {
    return false;
  }
}

/**
 * Process of a VM launched by an earlier daemon; null if it is gone. A process whose runtime folder was deleted is
 * killed: its streams and sockets are unreachable, and it would run beside the next one. If the daemon ended before it
 * saved the identity, the process is found by its own record, and killed because its launch was never completed.
 *
 * @param identity from the state file
 * @param record written by the process, in the VM's runtime folder
 */
export async function findAdopted(identity: ProcessIdentity | null, record: string): Promise<HostProcess | null> {
  if (identity && !isRunning(identity)) return null;
  if (identity && existsSync(dirname(record))) return adoptedProcess(identity);
  await (identity ? killGroupOf(identity) : killRecorded(record));
  return null;
}

/**
 * Pid of the machine inside a VM process: the last child of its jail, which is in a nested pid namespace, or the
 * process itself if there is no jail.
 */
export function machinePid(pid: number): number {
  const depth = namespaceDepth(pid);
  return listChildren(pid).findLast((child) => namespaceDepth(child) > depth) ?? pid;
}

/** Number of nested pid namespaces in which a process has a pid, see `NSpid` in proc_pid_status(5). */
function namespaceDepth(pid: number): number {
  const [, pids = ''] = /^NSpid:\s*(.*)$/m.exec(readProcessFile(pid, 'status') ?? '') ?? [];
  return pids.split('\t').length;
}

/**
 * Signals the machine inside a VM process. Its jail ends after it, so when the jail has ended, everything that belongs
 * to the VM has.
 */
export function signalMachine(vm: ProcessIdentity, signal: NodeJS.Signals): void {
  const machine = isRunning(vm) ? identify(machinePid(vm.pid)) : null;
  if (machine) signalProcess(machine, signal, 'process');
}

/** Kills the machine of a VM process, also when no descriptor is free for a while; never throws. */
export async function killMachine(vm: ProcessIdentity): Promise<void> {
  await untilDone(() => signalMachine(vm, 'SIGKILL'));
}

/** Kills the process of a record and its group, and waits for its end. */
export async function killRecorded(record: string, timeoutMs?: number): Promise<void> {
  const identity = readProcessRecord(record);
  if (identity) await killGroupOf(identity, timeoutMs);
}

async function killGroupOf(leader: ProcessIdentity, timeoutMs?: number): Promise<void> {
  // A machine in a jail is in a different process group, and ends right after its jail.
  const machine = isRunning(leader) ? identify(machinePid(leader.pid)) : null;
  signalProcess(leader, 'SIGKILL', 'group');
  const runs = () => isRunning(leader) || (machine !== null && isRunning(machine));
  await pollUntil(() => !runs(), KILL_POLL_INTERVAL_MS, timeoutMs);
}
