/** The numbered files of one stream, as their writer sees them. Knows of records only that a newline ends each. */
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../src/errors.ts';
import {
  fileName,
  linkName,
  type Position,
  parseFileName,
  type StreamId,
  streamKey,
  temporaryLinkName,
} from './file-names.ts';
import { LF } from './framer.ts';

/** What is used of `node:fs`; tests put faults in its place. */
export type FileSystem = Pick<
  typeof nodeFs,
  | 'chmodSync'
  | 'closeSync'
  | 'fchmodSync'
  | 'fstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readSync'
  | 'readdirSync'
  | 'renameSync'
  | 'rmSync'
  | 'statSync'
  | 'symlinkSync'
  | 'writeSync'
>;

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = nodeFs.constants;

/** How often the file is looked for under its name while there is something to write. */
const CHECK_INTERVAL_MS = 1000;
const NEWLINE = Buffer.from([LF]);

/** Where and how to write. */
export interface RollingFileOptions {
  /** Absolute; made when missing. */
  readonly logDir: string;
  readonly id: StreamId;
  /** A file is rolled at the first newline at or past this many bytes; one record is never split over two files. */
  readonly maxFileBytes: number;
  readonly fs?: FileSystem;
}

/**
 * Appends to the newest file of a stream and goes on to the next number at a newline. A file that was written is never
 * renamed, truncated or overwritten, so whoever follows the files loses and repeats nothing.
 *
 * Synchronous, and nothing is buffered here: what {@link RollingFile.write} says is written, the kernel has.
 */
export class RollingFile {
  readonly #logDir: string;
  readonly #id: StreamId;
  readonly #maxFileBytes: number;
  readonly #fs: FileSystem;
  #fd = -1;
  #number = 0;
  #sizeBytes = 0;
  #atRecordStart = true;
  /** The last byte of the file that was there belongs to a record that a crash cut off. */
  #isTorn = false;
  #isLinked = false;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #settledBytes = 0;

  constructor({ logDir, id, maxFileBytes, fs = nodeFs }: RollingFileOptions) {
    this.#logDir = logDir;
    this.#id = id;
    this.#maxFileBytes = maxFileBytes;
    this.#fs = fs;
  }

  /** End of the last whole record; null until the file is open and its end mended. */
  get settled(): Position | null {
    if (this.#fd === -1 || this.#isTorn) return null;
    return { number: this.#number, offset: this.#settledBytes };
  }

  /**
   * Opens the newest file, or the first one, and mends a record that a crash cut off. Throws the system's error.
   *
   * @param nowMs milliseconds of the wall clock
   */
  open(nowMs: number): void {
    if (this.#fd === -1) this.#openNewest(nowMs);
    if (!this.#isLinked) this.#link();
    if (this.#isTorn) {
      // A byte of its own: it may fail like any other write, and nothing may come before it.
      this.#append(NEWLINE, 0, 1);
      this.#isTorn = false;
    }
  }

  /**
   * Writes bytes [from, to) and returns how far it came: `to`, or less when writing fails. `onFault` then has the
   * system's error, and what is left may be given again at any time.
   */
  write(bytes: Buffer, from: number, to: number, nowMs: number, onFault: (error: unknown) => void): number {
    let at = from;
    try {
      while (at < to) {
        this.open(nowMs);
        // The clock may step back, too.
        if (Math.abs(nowMs - this.#checkedAtMs) >= CHECK_INTERVAL_MS) this.#check(nowMs);
        if (this.#atRecordStart && this.#sizeBytes >= this.#maxFileBytes) this.#roll(nowMs);
        at += this.#append(bytes, at, this.#endInFile(bytes, at, to));
      }
    } catch (error) {
      this.#checkedAtMs = Number.NEGATIVE_INFINITY;
      onFault(error);
    }
    return at;
  }

  /** Closes the file. Nothing is lost by it: nothing is buffered. */
  close(): void {
    if (this.#fd !== -1) this.#fs.closeSync(this.#fd);
    this.#fd = -1;
  }

  /** How much of bytes [at, to) goes to the current file: up to the newline that fills it. */
  #endInFile(bytes: Buffer, at: number, to: number): number {
    const roomBytes = this.#maxFileBytes - this.#sizeBytes;
    if (to - at < roomBytes) return to;
    const newline = bytes.indexOf(LF, at + Math.max(0, roomBytes - 1));
    return newline === -1 || newline >= to ? to : newline + 1;
  }

  /** One write, which may be short. */
  #append(bytes: Buffer, from: number, to: number): number {
    const written = this.#fs.writeSync(this.#fd, bytes, from, to - from);
    if (written === 0) throw new Error(`${fileName(this.#id, this.#number)} takes no bytes`);
    const end = from + written;
    this.#sizeBytes += written;
    this.#atRecordStart = bytes[end - 1] === LF;
    const newline = this.#atRecordStart ? end - 1 : bytes.lastIndexOf(LF, end - 1);
    if (newline >= from) this.#settledBytes = this.#sizeBytes - (end - 1 - newline);
    return written;
  }

  #openNewest(nowMs: number): void {
    this.#makeFolder();
    const key = streamKey(this.#id);
    let newest = 0;
    for (const name of this.#fs.readdirSync(this.#logDir)) {
      const parsed = parseFileName(name);
      if (parsed && streamKey(parsed) === key) newest = Math.max(newest, parsed.number);
    }
    if (newest === 0) {
      this.#roll(nowMs);
      return;
    }
    const fd = this.#fs.openSync(join(this.#logDir, fileName(this.#id, newest)), O_RDWR | O_APPEND);
    try {
      const { size } = this.#fs.fstatSync(fd);
      const last = Buffer.alloc(1);
      this.#isTorn = size > 0 && this.#fs.readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== LF;
      this.#sizeBytes = size;
      this.#settledBytes = size;
    } catch (error) {
      this.#fs.closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    this.#number = newest;
    this.#checkedAtMs = nowMs;
  }

  /** Goes on in a new file. The old one stays in use until the new one is open. */
  #roll(nowMs: number): void {
    this.#makeFolder();
    const { fd, number } = this.#create();
    if (this.#fd !== -1) this.#fs.closeSync(this.#fd);
    this.#fd = fd;
    this.#number = number;
    this.#sizeBytes = 0;
    this.#settledBytes = 0;
    this.#isLinked = false;
    this.#checkedAtMs = nowMs;
    // Shippers run as users of their own: the mode must not depend on the daemon's umask.
    this.#fs.fchmodSync(fd, 0o644);
    this.#link();
  }

  #create(): { fd: number; number: number } {
    for (let number = this.#number + 1; ; number += 1) {
      try {
        const path = join(this.#logDir, fileName(this.#id, number));
        return { fd: this.#fs.openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0o644), number };
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
  }

  #makeFolder(): void {
    const made = this.#fs.mkdirSync(this.#logDir, { recursive: true, mode: 0o755 });
    if (made !== undefined) this.#fs.chmodSync(this.#logDir, 0o755);
  }

  /** Lets the stable name lead to the current file. By rename: at no moment does the name lead nowhere. */
  #link(): void {
    const temporary = join(this.#logDir, temporaryLinkName(this.#id));
    this.#fs.rmSync(temporary, { force: true });
    this.#fs.symlinkSync(fileName(this.#id, this.#number), temporary);
    this.#fs.renameSync(temporary, join(this.#logDir, linkName(this.#id)));
    this.#isLinked = true;
  }

  /**
   * Notices that somebody removed the link, the file or the folder, or moved the file away: the kernel would go on
   * writing to a file that nobody can find. One stat through the link tells for all of them.
   */
  #check(nowMs: number): void {
    if (!this.#leadsHere(linkName(this.#id))) {
      if (this.#leadsHere(fileName(this.#id, this.#number))) this.#link();
      // A new number: the old one may be known to a reader together with a place in it.
      else this.#roll(nowMs);
    }
    this.#checkedAtMs = nowMs;
  }

  #leadsHere(name: string): boolean {
    const found = this.#fs.statSync(join(this.#logDir, name), { throwIfNoEntry: false });
    const own = this.#fs.fstatSync(this.#fd);
    return found !== undefined && found.ino === own.ino && found.dev === own.dev;
  }
}
