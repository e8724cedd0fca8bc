/** Process of a VM on the host, started by this daemon or adopted from an earlier one. Main thread. */
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
   * @param record file for the identity of the process, see `process-record.ts`; then `program` is an absolute path. A
   * process that the spawner started before it died is found by it and killed. Null for one that may be lost
   * @throws MonocoreError `StartFailed` when the program cannot be executed; no process is left then
   */
  spawn(request: SpawnRequest, record: string | null): Promise<HostProcess>;
}

/** A process that an earlier daemon started. Its exit code stays unknown. */
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

/** False while that is not known, for example because no descriptor is free. */
function hasEnded(identity: ProcessIdentity): boolean {
  try {
    return !isRunning(identity);
  } catch {
    return false;
  }
}

/**
 * Process of a VM that an earlier daemon launched, or null when it is gone. A process whose runtime folder was deleted is
 * killed: its streams and sockets cannot be reached any more, and it would run on beside the next one. Where the daemon
 * ended before it noted the identity, the process is found by its own record, and killed because its launch never ended.
 *
 * @param identity from the state file
 * @param record the process's own, in the VM's runtime folder
 */
export async function findAdopted(identity: ProcessIdentity | null, record: string): Promise<HostProcess | null> {
  if (identity && !isRunning(identity)) return null;
  if (identity && existsSync(dirname(record))) return adoptedProcess(identity);
  await (identity ? killGroupOf(identity) : killRecorded(record));
  return null;
}

/**
 * Pid of the machine of a VM process: the last child of its jail, which is in a pid namespace below it, or that process
 * itself without a jail.
 */
export function machinePid(pid: number): number {
  const depth = namespaceDepth(pid);
  return listChildren(pid).findLast((child) => namespaceDepth(child) > depth) ?? pid;
}

/** Number of nested pid namespaces that a process has a pid in, see `NSpid` in proc_pid_status(5). */
function namespaceDepth(pid: number): number {
  const [, pids = ''] = /^NSpid:\s*(.*)$/m.exec(readProcessFile(pid, 'status') ?? '') ?? [];
  return pids.split('\t').length;
}

/** Signals the machine of a VM process. Its jail ends behind it, so its end is that of all that the VM holds. */
export function signalMachine(vm: ProcessIdentity, signal: NodeJS.Signals): void {
  const machine = isRunning(vm) ? identify(machinePid(vm.pid)) : null;
  if (machine) signalProcess(machine, signal, 'process');
}

/** Kills the machine of a VM process, also when no descriptor is free for a while; never throws. */
export async function killMachine(vm: ProcessIdentity): Promise<void> {
  await untilDone(() => signalMachine(vm, 'SIGKILL'));
}

/** Kills the process of a record, and its group, and waits for its end. */
export async function killRecorded(record: string, timeoutMs?: number): Promise<void> {
  const identity = readProcessRecord(record);
  if (identity) await killGroupOf(identity, timeoutMs);
}

async function killGroupOf(leader: ProcessIdentity, timeoutMs?: number): Promise<void> {
  // A machine in a jail is in another group, and ends right after its jail.
  const machine = isRunning(leader) ? identify(machinePid(leader.pid)) : null;
  signalProcess(leader, 'SIGKILL', 'group');
  const runs = () => isRunning(leader) || (machine !== null && isRunning(machine));
  await pollUntil(() => !runs(), KILL_POLL_INTERVAL_MS, timeoutMs);
}
