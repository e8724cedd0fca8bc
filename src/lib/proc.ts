/** Who a pid is, so that a reused one is never taken for the process that had it. */
import { readFileSync } from 'node:fs';
import type { ProcessIdentity } from '../protocol/spawner.ts';
import { errorCode } from './errors.ts';

let bootId: string | undefined;

function readBootId(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootId;
}

/**
 * State and start time of a process: fields 3 and 22 of `/proc/<pid>/stat`, proc(5). The command name in field 2 may
 * hold spaces and parentheses, so fields are counted from the last `)`.
 */
function readStat(pid: number): { state: string; startTimeTicks: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: afterName[0]!, startTimeTicks: Number(afterName[19]) };
}

/** What `read` finds of a process; null when there is none. */
function ifThere<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return null;
    throw error;
  }
}

/** Identity of a process that runs now; null when there is none with that pid. */
export function identify(pid: number): ProcessIdentity | null {
  return ifThere(() => ({ pid, start_time: readStat(pid).startTimeTicks, boot_id: readBootId() }));
}

/** Whether that very process exists still (a zombie does). */
export function isSameProcess(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== null && now.start_time === identity.start_time && now.boot_id === identity.boot_id;
}

/** Whether that very process runs: a zombie does not, and one whose parent waits late can stay for long. */
export function isRunning(identity: ProcessIdentity): boolean {
  if (!isSameProcess(identity)) return false;
  const stat = ifThere(() => readStat(identity.pid));
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X';
}

/**
 * Signals a process, or its group, unless its pid belongs to another one by now.
 *
 * @returns whether it was there to be signalled
 */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals, target: 'process' | 'group'): boolean {
  if (!isSameProcess(identity)) return false;
  try {
    process.kill(target === 'group' ? -identity.pid : identity.pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}
