/** Exit record: a file in which the VM's side notes its end, for a daemon that was not there. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { errorCode } from '../../lib/errors.ts';
import { KIB, MIB } from '../../lib/units.ts';
import type { Exit } from '../backend.ts';

/** Room for a record, which is two short lines. */
export const MAX_RECORD_BYTES = 4 * KIB;

/** Names by number, as in signal(7); of two names the first, so that 6 is SIGABRT and not its alias SIGIOT. */
export const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/**
 * Exit of a status as shells report it: above 128 a signal ended the command (POSIX sh, 2.8.2). A command that exits with
 * such a status by itself looks the same.
 */
export function exitOfShellStatus(status: number): Exit {
  return { code: status, signal: status > 128 ? (SIGNAL_NAMES.get(status - 128) ?? null) : null };
}

/** Exit of a child process as Node reports it. */
export function exitOfChild(code: number | null, signal: NodeJS.Signals | null): Exit {
  return { code: signal === null ? code : 128 + constants.signals[signal], signal };
}

/** Content of an exit record. */
export interface ExitRecord {
  /** Pid of the command on the host, for a plain process; null in a VM. */
  readonly commandPid: number | null;
  /** Null while the command runs, and when it was cut off. */
  readonly exit: Exit | null;
  /** True when the guest's kernel killed the command for lack of memory. */
  readonly oomKilled: boolean;
}

const EMPTY: ExitRecord = Object.freeze({ commandPid: null, exit: null, oomKilled: false });

/** First line of a record, so that it has space: on a full disk nobody would note that a command starts or ends. */
const RESERVED = 'reserved\n';

/** Makes a record whose writer is trusted. Throws the system's error. */
export async function makeRecord(path: string): Promise<void> {
  await writeFile(path, RESERVED, { mode: 0o600 });
}

/**
 * Makes a record of which its writer, which is not trusted, can fill no more than {@link MAX_RECORD_BYTES}. No file that
 * a process writes may exceed RLIMIT_FSIZE, so the record begins that far below the limit, behind a hole. The kernel
 * ends a process that writes on with SIGXFSZ, setrlimit(2).
 *
 * @param largestBytes size of the largest other file that the process writes
 * @returns RLIMIT_FSIZE for the process, bytes
 */
export async function makeBoundedRecord(path: string, largestBytes: number): Promise<number> {
  const start = Math.ceil(largestBytes / MIB) * MIB;
  const file = await open(path, 'wx', 0o600);
  try {
    await file.write(RESERVED, start);
  } finally {
    await file.close();
  }
  return start + MAX_RECORD_BYTES;
}

/** Start of a record in a file of that size: 0, or the end of the hole of {@link makeBoundedRecord}. */
function startOf(size: number): number {
  return size - (size % MIB);
}

/** True when its writer has tried to fill a bounded record. A record that does not exist is not full. */
export function isRecordFull(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return size - startOf(size) >= MAX_RECORD_BYTES;
}

/**
 * A record that is read more than once. It stays open from its first read on, so that it can be read to the end after its
 * folder was deleted.
 */
export class ExitRecordFile {
  readonly #path: string;
  #fd: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** As {@link readExitRecord}. */
  read(): ExitRecord {
    try {
      this.#fd ??= openSync(this.#path, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return EMPTY;
      throw error;
    }
    const bytes = Buffer.alloc(MAX_RECORD_BYTES);
    const count = readSync(this.#fd, bytes, 0, bytes.length, startOf(fstatSync(this.#fd).size));
    return parseRecord(bytes.toString('latin1', 0, count));
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/**
 * Reads an exit record: `reserved`, then lines `started <pid>` and `exit <status>` or `exit <status> oom`, of which only
 * complete ones count. A record that does not exist is an empty one.
 */
export function readExitRecord(path: string): ExitRecord {
  const file = new ExitRecordFile(path);
  try {
    return file.read();
  } finally {
    file.close();
  }
}

function parseRecord(text: string): ExitRecord {
  const started = /^started (\d{1,10})\n/m.exec(text);
  const exit = /^exit (\d{1,3})( oom)?\n/m.exec(text);
  return {
    commandPid: started ? Number(started[1]) : null,
    exit: exit ? exitOfShellStatus(Number(exit[1])) : null,
    oomKilled: exit?.[2] !== undefined,
  };
}
