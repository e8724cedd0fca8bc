/**
 * Record of a process: a file in which the process stored its identity before it executed its program, see
 * workers/spawner/launch/launch.c. Processes are found only through such records, because any user can choose the name
 * and arguments of a process. Main thread.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { errorCode } from '../../lib/errors.ts';
import { isSameProcess, type ProcessIdentity, readStat } from '../../lib/proc.ts';
import type { HomePaths } from '../../state/paths.ts';

/** Size above that of any record. */
const MAX_BYTES = 128;

/** Reads a record; null if there is none, or if it was not written by a process of this user. */
export function readProcessRecord(path: string): ProcessIdentity | null {
  const fd = openRecord(path);
  if (fd === null) return null;
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.uid !== process.geteuid?.()) return null;
    const bytes = Buffer.alloc(MAX_BYTES);
    return parseRecord(bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)));
  } finally {
    closeSync(fd);
  }
}

function openRecord(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

/** Parses a line `<pid> <start time in ticks> <boot id>`. */
function parseRecord(text: string): ProcessIdentity | null {
  const [, pid, startTime, bootId] = /^([1-9]\d{0,9}) (\d{1,15}) ([0-9a-f-]{36})\n$/.exec(text) ?? [];
  if (pid === undefined || startTime === undefined || bootId === undefined) return null;
  return { pid: Number(pid), start_time: Number(startTime), boot_id: bootId };
}

/**
 * Name of the service that a process belongs to: the one whose record contains the process or the leader of its
 * session.
 */
export function serviceOfProcess(pid: number, home: HomePaths): string | null {
  const pids = [pid, readStat(pid)?.session];
  const isOf = (service: string): boolean => {
    const recorded = readProcessRecord(home.vm(service).processRecord);
    return recorded !== null && pids.includes(recorded.pid) && isSameProcess(recorded);
  };
  const entries = existsSync(home.runDir) ? readdirSync(home.runDir, { withFileTypes: true }) : [];
  return entries.find((entry) => entry.isDirectory() && isOf(entry.name))?.name ?? null;
}
