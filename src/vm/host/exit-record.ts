/** The exit record: what the VM's side wrote about itself, readable when nobody listened. */
import { closeSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { errorCode } from '../../lib/errors.ts';
import type { Exit } from '../backend.ts';

/** A record is two short lines; who owns the guest can write more, which nobody wants in memory. */
const MAX_RECORD_BYTES = 4096;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/**
 * The exit of a status as shells report it: above 128 a signal ended the command (POSIX sh, 2.8.2). A command that
 * itself exits with such a status looks the same.
 */
export function exitOfShellStatus(status: number): Exit {
  return { code: status, signal: status > 128 ? (SIGNAL_NAMES.get(status - 128) ?? null) : null };
}

/** The exit of a child process as Node reports it. */
export function exitOfChild(code: number | null, signal: NodeJS.Signals | null): Exit {
  return { code: signal === null ? code : 128 + constants.signals[signal], signal };
}

/** What an exit record says. */
export interface ExitRecord {
  /** Pid of the command on the host, for a plain process; null in a VM. */
  readonly commandPid: number | null;
  /** Null while the command runs, or where it never ended in order. */
  readonly exit: Exit | null;
  /** The command ended because the guest's kernel killed for lack of memory. */
  readonly oomKilled: boolean;
}

const EMPTY: ExitRecord = Object.freeze({ commandPid: null, exit: null, oomKilled: false });

/**
 * A record that is read more than once. From its first read on it is held open: a folder that somebody deletes takes the
 * path away, but not what is still written to the record.
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
    return parseRecord(bytes.toString('latin1', 0, readSync(this.#fd, bytes, 0, bytes.length, 0)));
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/**
 * Reads an exit record: lines `started <pid>` and `exit <status>` or `exit <status> oom`, of which only complete ones
 * count. A record that does not exist is an empty one.
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
