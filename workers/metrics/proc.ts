/**
 * What `/proc/<pid>` says of a process, see proc(5).
 *
 * Read synchronously: these files never wait for a disk, and the asynchronous calls would queue in the thread pool that
 * all threads of the process share. They stay open, because opening one takes longer than reading it.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** The files of one process, which are its alone: whoever gets its pid after it has others. */
export interface ProcFiles {
  /** Clock ticks since boot: with the pid it names one process, however often the pid is used again. */
  readonly startTime: string;
  /** Whether there is a process, and not only its zombie. */
  isAlive(): boolean;
  /** Null when the process is gone, or belongs to another user. */
  readDiskBytes(): DiskBytes | null;
  /** To be called once. */
  close(): void;
}

/** Opens the files of the process that has `pid` now; null when there is none. Passed in so that tests can replace it. */
export type OpenProcFiles = (pid: number) => ProcFiles | null;

/** Bytes that a process made the block layer read and write since it started. */
export interface DiskBytes {
  readonly read: number;
  readonly write: number;
}

/** Of the host's `/proc`. */
export const openProcFiles: OpenProcFiles = (pid) => {
  // Not `stat`, which pidusage has open, too: usage.ts must tell its files from all others.
  const statm = open(pid, 'statm');
  if (statm === null) return null;
  const startTime = readStartTime(pid);
  // Alive by now, it had its pid before, too.
  if (startTime === null || !hasMemory(statm)) {
    closeSync(statm);
    return null;
  }
  // Of another user's process there is a file that may not be opened.
  const io = open(pid, 'io');
  return {
    startTime,
    isAlive: () => hasMemory(statm),
    readDiskBytes: () => (io === null ? null : readIo(io)),
    close() {
      closeSync(statm);
      if (io !== null) closeSync(io);
    },
  };
};

/** Field 22 of `stat`. */
function readStartTime(pid: number): string | null {
  const fd = open(pid, 'stat');
  if (fd === null) return null;
  const stat = read(fd);
  closeSync(fd);
  // Field 2 is the name in parentheses, which may itself have blanks and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3] ?? null;
}

/** Its first number is the size of the memory, which a process gives back at its end: 0 of a zombie. */
function hasMemory(statm: number): boolean {
  return /^[1-9]/.test(read(statm) ?? '');
}

/**
 * `read_bytes` and `write_bytes` of `io`: what went to and came from storage. `rchar` and `wchar` would count pipes and
 * the page cache, too.
 */
function readIo(fd: number): DiskBytes | null {
  const [, reads, writes] = /^read_bytes: (\d+)\nwrite_bytes: (\d+)$/m.exec(read(fd) ?? '') ?? [];
  return reads === undefined || writes === undefined ? null : { read: Number(reads), write: Number(writes) };
}

/** More than each of the files has: the name of a process has at most 15 bytes. */
const buffer = Buffer.alloc(4096);

/** In one read from the beginning, which these files answer in full and anew; null when the process is gone (ESRCH). */
function read(fd: number): string | null {
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return null;
  }
}

function open(pid: number, name: string): number | null {
  try {
    return openSync(`/proc/${pid}/${name}`, 'r');
  } catch {
    return null;
  }
}
