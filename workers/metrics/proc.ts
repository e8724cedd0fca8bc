/**
 * What `/proc/<pid>` says of a process, see proc(5).
 *
 * Read synchronously: these files never wait for a disk, and the asynchronous calls would queue in the thread pool that
 * all threads of the process share.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** The part of `/proc` that the sampler reads; passed in so that tests can show it a pid that was used again. */
export interface ProcReader {
  /** See {@link readStartTime}. */
  readStartTime(pid: number): string | null;
  /** See {@link readDiskBytes}. */
  readDiskBytes(pid: number): DiskBytes | null;
}

/** Bytes that a process made the block layer read and write since it started. */
export interface DiskBytes {
  readonly read: number;
  readonly write: number;
}

/** The host's `/proc`. */
export const hostProc: ProcReader = { readStartTime, readDiskBytes };

/**
 * Field 22 of `/proc/<pid>/stat`, clock ticks since boot: with the pid it names one process, however often the pid is
 * used again.
 *
 * @returns null when there is no such process, or only its zombie
 */
export function readStartTime(pid: number): string | null {
  const stat = readProcFile(pid, 'stat');
  if (stat === null) return null;
  // Field 2 is the name in parentheses, which may itself have blanks and parentheses; field 3 is the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  return state === 'Z' || state === 'X' ? null : (fields[22 - 3] ?? null);
}

/**
 * `read_bytes` and `write_bytes` of `/proc/<pid>/io`: what went to and came from storage. `rchar` and `wchar` would
 * count pipes and the page cache, too.
 *
 * @returns null when the process is gone, or belongs to another user
 */
export function readDiskBytes(pid: number): DiskBytes | null {
  const io = readProcFile(pid, 'io');
  const read = /^read_bytes: (\d+)$/m.exec(io ?? '')?.[1];
  const write = /^write_bytes: (\d+)$/m.exec(io ?? '')?.[1];
  return read === undefined || write === undefined ? null : { read: Number(read), write: Number(write) };
}

/** More than either file has: the name of a process has at most 15 bytes. */
const buffer = Buffer.alloc(4096);

/** In one read, which these files answer in full; `readFileSync` would ask for their size before and for more after it. */
function readProcFile(pid: number, name: string): string | null {
  try {
    const fd = openSync(`/proc/${pid}/${name}`, 'r');
    try {
      return buffer.toString('latin1', 0, readSync(fd, buffer));
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}
