/** Who a pid is, so that a reused one is never taken for the process that had it. */
import { readFileSync } from 'node:fs';
import { errorCode } from '../errors.ts';
import type { ProcessIdentity } from './driver.ts';

let bootId: string | undefined;

function readBootId(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootId;
}

/**
 * Start time of a process in clock ticks since boot: field 22 of `/proc/<pid>/stat`, proc(5). The command name in
 * field 2 may hold spaces and parentheses, so fields are counted from the last `)`.
 */
function readStartTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(afterName[19]);
}

/** Identity of a process that runs now; null when there is none with that pid. */
export function identify(pid: number): ProcessIdentity | null {
  try {
    return { pid, start_time: readStartTime(pid), boot_id: readBootId() };
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return null;
    throw error;
  }
}

/** Whether that very process exists still (a zombie does). */
export function isSameProcess(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== null && now.start_time === identity.start_time && now.boot_id === identity.boot_id;
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
