/** The numbered files of one stream, as their writer sees them. Knows of records only that a newline ends each. */
import type { HeldPlace } from '../../../src/protocol/logs.ts';
import { LF } from '../format/framer.ts';
import { fileName, type Position, type StreamId } from './file-names.ts';
import {
  type AsyncFiles,
  asyncFiles as asyncNodeFiles,
  call,
  type FileStatus,
  type Files,
  type FileWork,
  runAsync,
  runSync,
  syncFiles,
} from './files.ts';
import { createFile, openHeldFile, openNewestFile } from './open-newest.ts';
import { linkTo, whereIs } from './stable-link.ts';
import { readFirstTime, readLastRecord } from './torn-file.ts';

/** How often the file is looked for under its name while there is something to write. */
const CHECK_INTERVAL_MS = 1000;

/** Where and how to write. */
export interface RollingFileOptions {
  /** Absolute; made when missing. */
  readonly logDir: string;
  readonly id: StreamId;
  /** A file is rolled at the first newline at or past this many bytes; one record is never split over two files. */
  readonly maxFileBytes: number;
  /** A file is rolled by the record that comes this long after its first one; null for never. */
  readonly maxAgeMs?: number | null;
  /** What to add to a file that is there already, so that it ends in a whole record; see `repairTail`. */
  readonly mend: (lastRecord: Buffer, nowMs: number) => Buffer;
  /** Nothing is written to that file any more. */
  readonly onFinished?: (number: number) => void;
  /** Another file was begun; it is empty. */
  readonly onRolled?: () => void;
  /** Where a writer that died left off. */
  readonly resumeAt?: HeldPlace | null;
  readonly files?: Files;
  readonly asyncFiles?: AsyncFiles;
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
  #mend: Buffer = Buffer.alloc(0);
  #isLinked = false;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #settledBytes = 0;
  #status: FileStatus | null = null;
  /** The file was moved away behind the start of a record, which is to end in it. */
  #isAstray = false;
  /** How far the call that is under way came. */
  #at = 0;
  /** Taken by {@link RollingFile.resume}. */
  #heldPlace: HeldPlace | null;
  #heldBytes: number | null = null;

  constructor(options: RollingFileOptions) {
    this.#options = options;
    this.#files = options.files ?? syncFiles;
    this.#asyncFiles = options.asyncFiles ?? asyncNodeFiles;
    this.#heldPlace = options.resumeAt ?? null;
  }

  /** End of the last whole record; null until the file is open and its end mended. */
  get settled(): Position | null {
    if (this.#fd === -1 || this.#mend.length > 0) return null;
    return { number: this.#number, offset: this.#settledBytes };
  }

  /** Device of the current file, see stat(2); null until one is open. */
  get dev(): number | null {
    return this.#status?.dev ?? null;
  }

  /** Where the next byte goes; null where that is not known yet. */
  get place(): HeldPlace | null {
    if (this.#heldPlace) return this.#heldPlace;
    if (this.#fd === -1 || !this.#status || this.#mend.length > 0) return null;
    const { dev, ino } = this.#status;
    return { number: this.#number, offset: this.#sizeBytes, dev, ino, fd: this.#fd };
  }

  /** How many bytes of the write that is under way are in the file; 0 while none is. */
  get progressBytes(): number {
    return this.#at;
  }

  /** Called once the file is open: bytes that are behind the place to resume at; null where that was not found. */
  resume(): number | null {
    this.#heldPlace = null;
    return this.#heldBytes;
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
    this.#at = from;
    try {
      // Most writes need nothing besides, and are done without a generator: they may be many and short.
      if (this.#isReady(nowMs) && this.#endInFile(bytes, from, to) === to) {
        const written = this.#files.write(this.#fd, bytes, from, to - from);
        this.#at += this.#noteWritten(bytes, from, written, nowMs);
      }
      if (this.#at < to) runSync(this.#write(bytes, to, nowMs), this.#files);
    } catch (error) {
      onFault(error);
    }
    return this.#endWrite(to);
  }

  /** As {@link RollingFile.write}, for all of `bytes`, without stopping the thread. They must not change meanwhile. */
  async writeAsync(bytes: Buffer, nowMs: number, onFault: (error: unknown) => void): Promise<number> {
    try {
      await runAsync(this.#write(bytes, bytes.length, nowMs), this.#asyncFiles);
    } catch (error) {
      onFault(error);
    }
    return this.#endWrite(bytes.length);
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

  /** How far a write came that was to come to `to`. */
  #endWrite(to: number): number {
    const at = this.#at;
    this.#at = 0;
    // Where writing fails, the file may be gone.
    if (at < to) this.#checkedAtMs = Number.NEGATIVE_INFINITY;
    return at;
  }

  *#open(nowMs: number): FileWork<void> {
    if (this.#fd === -1) yield* this.#openNewest(nowMs);
    if (!this.#isLinked) yield* this.#link();
    while (this.#mend.length > 0) {
      const written = yield* this.#append(this.#mend, 0, this.#mend.length, nowMs);
      this.#mend = this.#mend.subarray(written);
    }
  }

  *#write(bytes: Buffer, to: number, nowMs: number): FileWork<void> {
    while (this.#at < to) {
      yield* this.#open(nowMs);
      if (this.#isCheckDue(nowMs)) yield* this.#check(nowMs);
      if (this.#atRecordStart && this.#isFull(nowMs)) yield* this.#roll(nowMs);
      this.#at += yield* this.#append(bytes, this.#at, this.#endInFile(bytes, this.#at, to), nowMs);
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
    if (this.#isAstray || this.#sizeBytes >= maxFileBytes) return true;
    return maxAgeMs !== null && this.#sizeBytes > 0 && nowMs - this.#startedAtMs >= maxAgeMs;
  }

  /** How much of bytes [at, to) goes to the current file: up to the newline that fills it. */
  #endInFile(bytes: Buffer, at: number, to: number): number {
    const roomBytes = this.#isAstray ? 0 : this.#options.maxFileBytes - this.#sizeBytes;
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
    const { logDir, id, mend } = this.#options;
    const held = this.#heldPlace && (yield* openHeldFile(logDir, id, this.#heldPlace));
    this.#heldBytes = held?.writtenBytes ?? null;
    const newest = held ?? (yield* openNewestFile(logDir, id));
    this.#number = newest.number;
    if (newest.fd === null) return yield* this.#roll(nowMs);
    const { fd, status } = newest;
    try {
      const lastRecord = yield* readLastRecord(fd, status.size);
      this.#startedAtMs = (yield* readFirstTime(fd)) ?? status.mtimeMs;
      this.#atRecordStart = !held || lastRecord.length === 0 || lastRecord.at(-1) === LF;
      this.#settledBytes = this.#atRecordStart ? status.size : status.size - lastRecord.length;
      if (!held) this.#mend = mend(lastRecord, nowMs);
      // It may have been moved away, and only what began in it belongs there.
      this.#isLinked = held !== null;
      this.#checkedAtMs = held ? Number.NEGATIVE_INFINITY : nowMs;
    } catch (error) {
      yield* call('close', fd);
      throw error;
    }
    this.#sizeBytes = status.size;
    this.#status = status;
    this.#fd = fd;
  }

  /** Goes on in a new file. The old one stays in use until the new one is open. */
  *#roll(nowMs: number): FileWork<void> {
    const finished = this.#number;
    const { fd, number, status } = yield* createFile(this.#options.logDir, this.#options.id, finished);
    if (this.#fd !== -1) yield* call('close', this.#fd);
    this.#fd = fd;
    this.#number = number;
    this.#status = status;
    this.#sizeBytes = 0;
    this.#settledBytes = 0;
    this.#isLinked = false;
    this.#isAstray = false;
    this.#checkedAtMs = nowMs;
    this.#options.onRolled?.();
    yield* this.#link();
    if (finished > 0) this.#options.onFinished?.(finished);
  }

  *#link(): FileWork<void> {
    yield* linkTo(this.#options.logDir, this.#options.id, this.#name);
    this.#isLinked = true;
  }

  /**
   * Notices that somebody removed the link, the file or the folder, or moved the file away: the kernel would go on
   * writing to a file that nobody can find.
   */
  *#check(nowMs: number): FileWork<void> {
    const where = yield* whereIs(this.#options.logDir, this.#options.id, this.#number, this.#fd);
    if (where === 'unlinked') yield* this.#link();
    // A record is one: where it began, it ends.
    else if (where === 'moved' && !this.#atRecordStart) this.#isAstray = true;
    // A new number: the old one may be known to a reader together with a place in it.
    else if (where !== 'linked') yield* this.#roll(nowMs);
    this.#checkedAtMs = nowMs;
  }
}
