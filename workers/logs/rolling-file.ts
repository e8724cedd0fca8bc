/** The numbered files of one stream, as their writer sees them. Knows of records only that a newline ends each. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../src/errors.ts';
import { fileName, linkName, type Position, parseFileName, type StreamId, streamKey } from './file-names.ts';
import {
  type AsyncFiles,
  asyncFiles as asyncNodeFiles,
  call,
  type Files,
  type FileWork,
  runAsync,
  runSync,
  syncFiles,
} from './files.ts';
import { LF } from './framer.ts';
import { leadsTo, linkTo } from './stable-link.ts';
import { readFirstTime, readLastRecord } from './torn-file.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = constants;

/** How often the file is looked for under its name while there is something to write. */
const CHECK_INTERVAL_MS = 1000;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;
const NOTHING = Buffer.alloc(0);

/** Where and how to write. */
export interface RollingFileOptions {
  /** Absolute; made when missing. */
  readonly logDir: string;
  readonly id: StreamId;
  /** A file is rolled at the first newline at or past this many bytes; one record is never split over two files. */
  readonly maxFileBytes: number;
  /** A file is rolled by the record that comes this long after its first one; null for never. */
  readonly maxAgeMs?: number | null;
  /** What to add to a file that is there already, so that it ends in a whole record; see `mendTail`. */
  readonly mend: (lastRecord: Buffer, nowMs: number) => Buffer;
  /** Nothing is written to that file any more. */
  readonly onFinished?: (number: number) => void;
  readonly files?: Files;
  readonly asyncFiles?: AsyncFiles;
}

/** How far a write came. */
interface Progress {
  at: number;
}

/**
 * Appends to the newest file of a stream and goes on to the next number at a newline. A file that was written is never
 * renamed, truncated or overwritten, so whoever follows the files loses and repeats nothing.
 *
 * Nothing is buffered here: what a write says is written, the kernel has. One call at a time.
 */
export class RollingFile {
  readonly #options: RollingFileOptions;
  readonly #files: Files;
  readonly #asyncFiles: AsyncFiles;
  #fd = -1;
  #number = 0;
  #sizeBytes = 0;
  #startedAtMs = 0;
  #atRecordStart = true;
  /** What is to be added before anything else: a crash cut the last record off. */
  #mend: Buffer = NOTHING;
  #isLinked = false;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #settledBytes = 0;
  #dev: number | null = null;

  constructor(options: RollingFileOptions) {
    this.#options = options;
    this.#files = options.files ?? syncFiles;
    this.#asyncFiles = options.asyncFiles ?? asyncNodeFiles;
  }

  /** End of the last whole record; null until the file is open and its end mended. */
  get settled(): Position | null {
    if (this.#fd === -1 || this.#mend.length > 0) return null;
    return { number: this.#number, offset: this.#settledBytes };
  }

  /** Device of the current file, see stat(2); null until one is open. */
  get dev(): number | null {
    return this.#dev;
  }

  /**
   * Opens the newest file, or the first one, and mends a record that a crash cut off. Throws the system's error.
   *
   * @param nowMs milliseconds of the wall clock
   */
  open(nowMs: number): void {
    runSync(this.#open(nowMs), this.#files);
  }

  /** As {@link RollingFile.open}, without stopping the thread. */
  openAsync(nowMs: number): Promise<void> {
    return runAsync(this.#open(nowMs), this.#asyncFiles);
  }

  /**
   * Writes bytes [from, to) and returns how far it came: `to`, or less when writing fails. `onFault` then has the
   * system's error, and what is left may be given again at any time.
   */
  write(bytes: Buffer, from: number, to: number, nowMs: number, onFault: (error: unknown) => void): number {
    const progress = { at: from };
    try {
      // Most writes need nothing besides, and are done without a generator: they may be many and short.
      if (this.#isReady(nowMs) && this.#endInFile(bytes, from, to) === to) {
        const written = this.#files.write(this.#fd, bytes, from, to - from);
        progress.at += this.#noteWritten(bytes, from, written, nowMs);
      }
      if (progress.at < to) runSync(this.#write(bytes, progress, to, nowMs), this.#files);
    } catch (error) {
      this.#checkedAtMs = Number.NEGATIVE_INFINITY;
      onFault(error);
    }
    return progress.at;
  }

  /** As {@link RollingFile.write}, for all of `bytes`, without stopping the thread. They must not change meanwhile. */
  async writeAsync(bytes: Buffer, nowMs: number, onFault: (error: unknown) => void): Promise<number> {
    const progress = { at: 0 };
    try {
      await runAsync(this.#write(bytes, progress, bytes.length, nowMs), this.#asyncFiles);
    } catch (error) {
      this.#checkedAtMs = Number.NEGATIVE_INFINITY;
      onFault(error);
    }
    return progress.at;
  }

  /** Closes the file; nothing is buffered. */
  close(): void {
    if (this.#fd !== -1) this.#files.close(this.#fd);
    this.#fd = -1;
  }

  /** Gives the file up while a write is on its way: its number would be used for another one if it were closed. */
  abandon(): void {
    this.#fd = -1;
  }

  *#open(nowMs: number): FileWork<void> {
    if (this.#fd === -1) yield* this.#openNewest(nowMs);
    if (!this.#isLinked) yield* this.#link();
    while (this.#mend.length > 0) {
      const written = yield* this.#append(this.#mend, 0, this.#mend.length, nowMs);
      this.#mend = this.#mend.subarray(written);
    }
  }

  *#write(bytes: Buffer, progress: Progress, to: number, nowMs: number): FileWork<void> {
    while (progress.at < to) {
      yield* this.#open(nowMs);
      if (this.#isCheckDue(nowMs)) yield* this.#check(nowMs);
      if (this.#atRecordStart && this.#isFull(nowMs)) yield* this.#roll(nowMs);
      progress.at += yield* this.#append(bytes, progress.at, this.#endInFile(bytes, progress.at, to), nowMs);
    }
  }

  /** Whether the current file takes what comes next as it is. */
  #isReady(nowMs: number): boolean {
    const isOpen = this.#fd !== -1 && this.#isLinked && this.#mend.length === 0;
    return isOpen && !this.#isCheckDue(nowMs) && !(this.#atRecordStart && this.#isFull(nowMs));
  }

  /** The clock may step back, too. */
  #isCheckDue(nowMs: number): boolean {
    return Math.abs(nowMs - this.#checkedAtMs) >= CHECK_INTERVAL_MS;
  }

  #isFull(nowMs: number): boolean {
    const { maxFileBytes, maxAgeMs = null } = this.#options;
    if (this.#sizeBytes >= maxFileBytes) return true;
    return maxAgeMs !== null && this.#sizeBytes > 0 && nowMs - this.#startedAtMs >= maxAgeMs;
  }

  /** How much of bytes [at, to) goes to the current file: up to the newline that fills it. */
  #endInFile(bytes: Buffer, at: number, to: number): number {
    const roomBytes = this.#options.maxFileBytes - this.#sizeBytes;
    if (to - at < roomBytes) return to;
    const newline = bytes.indexOf(LF, at + Math.max(0, roomBytes - 1));
    return newline === -1 || newline >= to ? to : newline + 1;
  }

  /** One write, which may be short. */
  *#append(bytes: Buffer, from: number, to: number, nowMs: number): FileWork<number> {
    return this.#noteWritten(bytes, from, yield* call('write', this.#fd, bytes, from, to - from), nowMs);
  }

  /** That many bytes from `from` on are in the file; returns how many. */
  #noteWritten(bytes: Buffer, from: number, written: number, nowMs: number): number {
    if (written === 0) throw new Error(`${this.#name} takes no bytes`);
    if (this.#sizeBytes === 0) this.#startedAtMs = nowMs;
    const end = from + written;
    this.#sizeBytes += written;
    this.#atRecordStart = bytes[end - 1] === LF;
    const newline = this.#atRecordStart ? end - 1 : bytes.lastIndexOf(LF, end - 1);
    if (newline >= from) this.#settledBytes = this.#sizeBytes - (end - 1 - newline);
    return written;
  }

  get #name(): string {
    return fileName(this.#options.id, this.#number);
  }

  *#openNewest(nowMs: number): FileWork<void> {
    yield* this.#makeFolder();
    const { logDir, id, mend } = this.#options;
    const key = streamKey(id);
    let isPlain = false;
    for (const name of yield* call('readdir', logDir)) {
      const parsed = parseFileName(name);
      if (!parsed || streamKey(parsed) !== key || parsed.number < this.#number) continue;
      isPlain = parsed.form === 'plain' || (isPlain && parsed.number === this.#number);
      this.#number = parsed.number;
    }
    // Only finished files are compressed: where the newest one is, somebody removed those after it.
    if (!isPlain) return yield* this.#roll(nowMs);
    const fd = yield* call('open', join(logDir, this.#name), O_RDWR | O_APPEND);
    try {
      const { size, dev, mtimeMs } = yield* call('fstat', fd);
      this.#mend = mend(yield* readLastRecord(fd, size), nowMs);
      this.#startedAtMs = (yield* readFirstTime(fd)) ?? mtimeMs;
      this.#sizeBytes = size;
      this.#settledBytes = size;
      this.#dev = dev;
    } catch (error) {
      yield* call('close', fd);
      throw error;
    }
    this.#fd = fd;
    this.#checkedAtMs = nowMs;
  }

  /** Goes on in a new file. The old one stays in use until the new one is open. */
  *#roll(nowMs: number): FileWork<void> {
    yield* this.#makeFolder();
    const finished = this.#number;
    const { fd, number } = yield* this.#create();
    if (this.#fd !== -1) yield* call('close', this.#fd);
    this.#fd = fd;
    this.#number = number;
    this.#sizeBytes = 0;
    this.#settledBytes = 0;
    this.#isLinked = false;
    this.#checkedAtMs = nowMs;
    // Shippers run as users of their own: the mode must not depend on the daemon's umask.
    yield* call('fchmod', fd, FILE_MODE);
    this.#dev = (yield* call('fstat', fd)).dev;
    yield* this.#link();
    if (finished > 0) this.#options.onFinished?.(finished);
  }

  *#create(): FileWork<{ fd: number; number: number }> {
    const { logDir, id } = this.#options;
    for (let number = this.#number + 1; ; number += 1) {
      try {
        const path = join(logDir, fileName(id, number));
        return { fd: yield* call('open', path, O_RDWR | O_APPEND | O_CREAT | O_EXCL), number };
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
  }

  *#makeFolder(): FileWork<void> {
    const { logDir } = this.#options;
    const made = yield* call('mkdir', logDir, FOLDER_MODE);
    if (made !== undefined) yield* call('chmod', logDir, FOLDER_MODE);
  }

  *#link(): FileWork<void> {
    yield* linkTo(this.#options.logDir, this.#options.id, this.#name);
    this.#isLinked = true;
  }

  /**
   * Notices that somebody removed the link, the file or the folder, or moved the file away: the kernel would go on
   * writing to a file that nobody can find. One stat through the link tells for all of them.
   */
  *#check(nowMs: number): FileWork<void> {
    const { logDir, id } = this.#options;
    if (!(yield* leadsTo(join(logDir, linkName(id)), this.#fd))) {
      if (yield* leadsTo(join(logDir, this.#name), this.#fd)) yield* this.#link();
      // A new number: the old one may be known to a reader together with a place in it.
      else yield* this.#roll(nowMs);
    }
    this.#checkedAtMs = nowMs;
  }
}
