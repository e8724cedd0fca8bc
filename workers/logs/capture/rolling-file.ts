/**
 * Numbered files of one stream, from the writer's point of view. They know of records only that each ends in a newline.
 */

import { fileName, type Position, type StreamId } from '../../../src/protocol/log-files/names.ts';
import { LF } from '../../../src/protocol/log-files/record.ts';
import type { HeldPlace } from '../../../src/protocol/logs.ts';
import { call, type Disk, type FileStatus, type FileWork } from './disk.ts';
import { createFile, openHeldFile, openNewestFile, readFirstTime, readLastRecord } from './open-newest.ts';
import { linkTo, whereIs } from './stable-link.ts';

/** Interval at which the file is checked under its name while there is something to write. */
const CHECK_INTERVAL_MS = 1000;

/** Where and how to write. */
interface RollingFileOptions {
  /** Absolute path of the log folder, which is created if missing. */
  readonly logDir: string;
  readonly id: StreamId;
  readonly disk: Disk;
  /** Size after which a file is rotated, at the next newline; a record is never split across two files. */
  readonly maxFileBytes: number;
  /** Age after which a file is rotated, measured from its first record when a new one arrives; null for never. */
  readonly maxAgeMs?: number | null;
  /** Returns the bytes that complete the last record of an existing file; see `repairTail`. */
  readonly repair: (lastRecord: Buffer, nowMs: number) => Buffer;
  /** Called when the file with that number is complete. */
  readonly onFinished?: (number: number) => void;
  /** Called when a new, empty file is open. */
  readonly onRolled?: () => void;
  /** Position at which a dead writer stopped. */
  readonly resumeAt?: HeldPlace | null;
}

/**
 * Appends to the newest file of a stream and starts the next number at a newline. A written file is never renamed,
 * truncated or overwritten, so a program that follows the files loses and repeats nothing.
 *
 * It does not buffer: everything written has been passed to the kernel. Only one call at a time.
 */
export class RollingFile {
  readonly #options: RollingFileOptions;
  #fd = -1;
  #number = 0;
  #sizeBytes = 0;
  #startedAtMs = 0;
  #atRecordStart = true;
  /** Bytes to append before all others, because a crash cut off the last record. */
  #repair: Buffer = Buffer.alloc(0);
  #isLinked = false;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #settledBytes = 0;
  #status: FileStatus | null = null;
  /** True if the file was moved in the middle of a record, which must end in the moved file. */
  #isAstray = false;
  #progressBytes = 0;
  /** Position that {@link RollingFile.resume} takes. */
  #heldPlace: HeldPlace | null;
  #heldBytes: number | null = null;

  constructor(options: RollingFileOptions) {
    this.#options = options;
    this.#heldPlace = options.resumeAt ?? null;
  }

  /** End of the last complete record; null until the file is open and its end is repaired. */
  get settled(): Position | null {
    if (this.#fd === -1 || this.#repair.length > 0) return null;
    return { number: this.#number, offset: this.#settledBytes };
  }

  /** Device of the current file, see stat(2); null until a file is open. */
  get dev(): number | null {
    return this.#status?.dev ?? null;
  }

  /** Position of the next byte; null while unknown. */
  get place(): HeldPlace | null {
    if (this.#heldPlace) return this.#heldPlace;
    if (this.#fd === -1 || !this.#status || this.#repair.length > 0) return null;
    const { dev, ino } = this.#status;
    return { number: this.#number, offset: this.#sizeBytes, dev, ino, fd: this.#fd };
  }

  /** Number of bytes of the current {@link RollingFile.write} that are in the file. */
  get progressBytes(): number {
    return this.#progressBytes;
  }

  /** Number of bytes of the failed {@link RollingFile.write} that are in the file. */
  takeProgress(): number {
    const bytes = this.#progressBytes;
    this.#progressBytes = 0;
    return bytes;
  }

  /**
   * Number of bytes after the position at which to resume; null if that position was not found. Called once the file is
   * open.
   */
  resume(): number | null {
    this.#heldPlace = null;
    return this.#heldBytes;
  }

  /**
   * Opens the newest file, or the first one, and repairs a record that a crash cut off. Throws the system error.
   *
   * @param nowMs milliseconds of the wall clock
   */
  *open(nowMs: number): FileWork<void> {
    if (this.#fd === -1) yield* this.#openNewest(nowMs);
    if (!this.#isLinked) yield* this.#link();
    while (this.#repair.length > 0) {
      const written = yield* this.#append(this.#repair, 0, this.#repair.length, nowMs);
      this.#repair = this.#repair.subarray(written);
    }
  }

  /**
   * Writes bytes [from, to) with a single call if nothing else is due, which is usually the case.
   *
   * @returns the offset at which it stopped, also after a failure; {@link RollingFile.write} must write the rest
   */
  writeNow(bytes: Buffer, from: number, to: number, nowMs: number): number {
    if (from === to || !this.#isReady(nowMs)) return from;
    const args = [this.#fd, bytes, from, this.#endInFile(bytes, from, to) - from, null];
    try {
      const written = this.#options.disk.callNow({ name: 'write', args }) as number;
      return from + this.#noteWritten(bytes, from, written, nowMs);
    } catch {
      return from;
    }
  }

  /** Writes all bytes, rotating as needed. They must not change in the meantime. Throws the system error. */
  *write(bytes: Buffer, nowMs: number): FileWork<void> {
    this.#progressBytes = 0;
    try {
      while (this.#progressBytes < bytes.length) {
        yield* this.open(nowMs);
        if (this.#isCheckDue(nowMs)) yield* this.#check(nowMs);
        if (this.#atRecordStart && this.#isFull(nowMs)) yield* this.#roll(nowMs);
        const from = this.#progressBytes;
        this.#progressBytes += yield* this.#append(bytes, from, this.#endInFile(bytes, from, bytes.length), nowMs);
      }
    } catch (error) {
      // The file may be gone.
      this.#checkedAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
    this.#progressBytes = 0;
  }

  /** Closes the file; nothing is buffered. */
  close(): void {
    if (this.#fd !== -1) this.#options.disk.callNow({ name: 'close', args: [this.#fd] });
    this.#fd = -1;
  }

  /**
   * Forgets the file without closing it, because a write is in progress: after closing, the descriptor number could be
   * reused for another file.
   */
  abandon(): void {
    this.#fd = -1;
  }

  /** True if the next write needs no other operation. */
  #isReady(nowMs: number): boolean {
    const isOpen = this.#fd !== -1 && this.#isLinked && this.#repair.length === 0;
    return isOpen && !this.#isCheckDue(nowMs) && !(this.#atRecordStart && this.#isFull(nowMs));
  }

  /** True if a check is due. The clock may also have been set back. */
  #isCheckDue(nowMs: number): boolean {
    return Math.abs(nowMs - this.#checkedAtMs) >= CHECK_INTERVAL_MS;
  }

  #isFull(nowMs: number): boolean {
    const { maxFileBytes, maxAgeMs = null } = this.#options;
    if (this.#isAstray || this.#sizeBytes >= maxFileBytes) return true;
    return maxAgeMs !== null && this.#sizeBytes > 0 && nowMs - this.#startedAtMs >= maxAgeMs;
  }

  /** End of the part of [at, to) that goes into the current file: the newline that fills it. */
  #endInFile(bytes: Buffer, at: number, to: number): number {
    const roomBytes = this.#isAstray ? 0 : this.#options.maxFileBytes - this.#sizeBytes;
    if (to - at < roomBytes) return to;
    const newline = bytes.indexOf(LF, at + Math.max(0, roomBytes - 1));
    return newline === -1 || newline >= to ? to : newline + 1;
  }

  /** Writes once; may write only a part. */
  *#append(bytes: Buffer, from: number, to: number, nowMs: number): FileWork<number> {
    return this.#noteWritten(bytes, from, yield* call('write', this.#fd, bytes, from, to - from, null), nowMs);
  }

  /** Records that `written` bytes starting at `from` are in the file; returns their number. */
  #noteWritten(bytes: Buffer, from: number, written: number, nowMs: number): number {
    if (written === 0) throw new Error(`${this.#name} cannot be written: the system took no bytes`);
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
    const { logDir, id, repair } = this.#options;
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
      if (!held) this.#repair = repair(lastRecord, nowMs);
      // The file may have been moved; then only the record that began in it is completed there.
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

  /** Starts a new file. The old one stays in use until the new one is open. */
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
   * Detects that somebody removed the link, the file or the folder, moved the file, or truncated it like logrotate's
   * copytruncate. Otherwise writes would go to a file that nobody can find, or before the position of its readers.
   */
  *#check(nowMs: number): FileWork<void> {
    const file = { number: this.#number, fd: this.#fd, sizeBytes: this.#sizeBytes };
    const where = yield* whereIs(this.#options.logDir, this.#options.id, file);
    if (where === 'unlinked') yield* this.#link();
    // A record must end in the file in which it began.
    else if ((where === 'moved' || where === 'truncated') && !this.#atRecordStart) this.#isAstray = true;
    // Uses the next number, because a reader may hold a position in the old file.
    else if (where !== 'linked') yield* this.#roll(nowMs);
    this.#checkedAtMs = nowMs;
  }
}
