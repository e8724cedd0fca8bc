/** Exit record: a file in which the VM's side records how it ended, for a daemon that was not running then. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { errorCode } from '../../lib/errors.ts';
import { KIB, MIB } from '../../lib/units.ts';
import type { Exit } from '../backend.ts';

/** Maximum size of a record, which consists of two short lines. */
export const MAX_RECORD_BYTES = 4 * KIB;

/**
 * Signal names by number, as in signal(7); if a number has two names the first one, so that 6 is SIGABRT and not its
 * alias SIGIOT.
 */
export const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/** Regular expression for an exit status: 0 to 255, wait(2). What a guest writes may be any text. */
export const STATUS = '25[0-5]|2[0-4]\\d|1\\d\\d|\\d\\d?';
const STARTED_LINE = /^started (\d{1,10})\n/m;
const EXIT_LINE = new RegExp(`^exit (${STATUS})( oom)?\\n`, 'm');

/**
 * Exit for a status as shells report it: above 128 a signal ended the command (POSIX sh, section 2.8.2). A command that
 * itself exits with such a status looks the same.
 */
export function exitOfShellStatus(status: number): Exit {
  return { code: status, signal: status > 128 ? (SIGNAL_NAMES.get(status - 128) ?? null) : null };
}

/** Exit of a child process, from the values that Node reports. */
export function exitOfChild(code: number | null, signal: NodeJS.Signals | null): Exit {
  return { code: signal === null ? code : 128 + constants.signals[signal], signal };
}

/** Parsed exit record. */
export interface ExitRecord {
  /** Pid of the command on the host, for a plain process; null in a VM. */
  readonly commandPid: number | null;
  /** Null while the command is running, and if the entry is incomplete. */
  readonly exit: Exit | null;
  /** True if the guest's kernel killed the command because memory ran out. */
  readonly oomKilled: boolean;
}

const EMPTY: ExitRecord = Object.freeze({ commandPid: null, exit: null, oomKilled: false });

/**
 * First line of a record, which reserves its space: on a full disk, the start and end of a command could not be
 * recorded.
 */
const RESERVED = 'reserved\n';

/** Creates a record whose writer is trusted. Throws the system error. */
export async function makeRecord(path: string): Promise<void> {
  await writeFile(path, RESERVED, { mode: 0o600 });
}

/**
 * Creates a record in which its untrusted writer can write at most {@link MAX_RECORD_BYTES}. No file that a process
 * writes may exceed RLIMIT_FSIZE, so the record begins that many bytes below the limit, after a hole. If the process
 * writes more, the kernel ends it with SIGXFSZ, see setrlimit(2).
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

/** Start of the record in a file of this size: 0, or the end of the hole of {@link makeBoundedRecord}. */
function startOf(size: number): number {
  return size - (size % MIB);
}

/** True if the writer has tried to fill a bounded record. A record that does not exist is not full. */
function isRecordFull(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return size - startOf(size) >= MAX_RECORD_BYTES;
}

/** Misuse of the record by a guest that has tried to fill it, as in `VmEnd`; null if it behaved. */
export function findOffence(path: string): string | null {
  return isRecordFull(path) ? 'flooded its exit port' : null;
}

/**
 * Record that is read several times. It stays open from the first read on, so that it can be read to the end after its
 * folder has been deleted.
 */
export class ExitRecordFile {
  readonly #path: string;
  #fd: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Does the same as {@link readExitRecord}. */
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
 * Reads an exit record: `reserved`, followed by lines `started <pid>` and `exit <status>` or `exit <status> oom`;
 * incomplete lines are ignored. A record that does not exist counts as empty.
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
  const started = STARTED_LINE.exec(text);
  const exit = EXIT_LINE.exec(text);
  return {
    commandPid: started ? Number(started[1]) : null,
    exit: exit ? exitOfShellStatus(Number(exit[1])) : null,
    oomKilled: exit?.[2] !== undefined,
  };
}
