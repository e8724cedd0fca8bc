/** Forward through the files of one stream. */
import { isBefore, ORIGIN, type Position, type StreamId, streamKey } from '../../src/protocol/log-files/names.ts';
import { LF } from '../../src/protocol/log-files/record.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { listStreamFiles } from './stream-files.ts';

/** Size of a block; a good one for a disk. */
export const BLOCK_BYTES = 65_536;
/** Streams that are merged have a block each. Together these have so much, unless the streams are very many. */
const BLOCKS_BYTES = 64 * BLOCK_BYTES;
const MIN_BLOCK_BYTES = 4096;

/** A buffer for the blocks of each of so many streams. */
export function makeBlocks(streams: number): Buffer[] {
  const bytes = Math.max(MIN_BLOCK_BYTES, Math.min(BLOCK_BYTES, Math.floor(BLOCKS_BYTES / streams)));
  return Array.from({ length: streams }, () => Buffer.allocUnsafeSlow(bytes));
}

/** A block of a stream. */
export interface Block {
  readonly bytes: Buffer;
  /** Where it starts. At offset 0 a file begins. */
  readonly start: Position;
  /** Where a cursor goes on behind it. */
  readonly end: Position;
}

/** Where and how a cursor goes. */
export interface CursorOptions {
  readonly logDir: string;
  readonly id: StreamId;
  /** Where a record starts, or {@link ORIGIN}. */
  readonly start: Position;
  /** `start` is in the middle of a record. */
  readonly isInRecord?: boolean;
  /** Files that were last written before are passed over, milliseconds since the epoch. */
  readonly sinceMs?: number | null;
}

/** The clock by which a kernel dates files may be one tick behind the one by which records are dated. */
const MTIME_SLACK_MS = 1000;

const NEWLINE = Buffer.from([LF]);

/** Whether a file has only records from before `sinceMs`. */
export async function endsBefore(file: LogFile, sinceMs: number | null): Promise<boolean> {
  return sinceMs !== null && (await file.modifiedAtMs()) + MTIME_SLACK_MS < sinceMs;
}

/**
 * Reads records from a place in a stream up to a limit that may rise. Asynchronous, so that a slow disk keeps nobody
 * else in the thread waiting.
 */
export class StreamCursor {
  readonly #options: CursorOptions;
  #at: Position;
  #file: LogFile | null = null;
  /** Of the file, once nothing is written to it any more. */
  #sizeBytes: number | null = null;
  #isInRecord: boolean;
  #isAbandoned = false;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.#at = options.start;
    this.#isInRecord = options.isInRecord ?? false;
  }

  /**
   * The next whole records before `limit`, or, of a record that is longer than `target`, the next piece: bytes without
   * any newline, which the next blocks of this cursor continue. A newline is added where a file ends without one.
   *
   * @param target what the block's bytes are in; the caller's, and to be filled anew by the next call
   * @returns null at the limit
   */
  async take(limit: Position, target: Buffer): Promise<Block | null> {
    // Somebody removed the files, and the numbers began anew.
    if (isBefore(limit, this.#at)) await this.#moveTo(ORIGIN);
    let start = this.#at;
    while (!this.#isAbandoned && isBefore(this.#at, limit)) {
      start = this.#at;
      const block = await this.#readBlock(limit, target);
      if (block) return block;
      if (this.#isInRecord) break;
    }
    if (this.#isAbandoned) await this.close();
    if (!this.#isInRecord) return null;
    this.#isInRecord = false;
    return { bytes: NEWLINE, start, end: this.#at };
  }

  /** Ends the cursor where it stands: its files were removed. */
  abandon(): void {
    this.#isAbandoned = true;
    void this.close();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  /** Null at the end of a file; the cursor is past it then. */
  async #readBlock(limit: Position, target: Buffer): Promise<Block | null> {
    const file = await this.#openFile(limit);
    if (!file) return null;
    const start = this.#at;
    const { number, offset } = start;
    const isNewest = number === limit.number;
    const next = isNewest ? limit : { number: number + 1, offset: 0 };
    if (offset === 0 && (await endsBefore(file, this.#options.sinceMs ?? null))) {
      await this.#moveTo(next);
      return null;
    }
    if (!isNewest) this.#sizeBytes ??= await file.sizeBytes();
    const endBytes = isNewest ? limit.offset : this.#sizeBytes!;
    const bytesRead = await file.read(target.subarray(0, Math.max(0, endBytes - offset)), offset);
    if (bytesRead === 0) {
      // Short of the limit in the newest file only where somebody cut the file: what was there is gone.
      await this.#moveTo(next);
      return null;
    }
    const newline = target.lastIndexOf(LF, bytesRead - 1);
    const length = newline === -1 ? bytesRead : newline + 1;
    this.#at = { number, offset: offset + length };
    this.#isInRecord = newline === -1;
    return { bytes: target.subarray(0, length), start, end: this.#at };
  }

  /** The file at the cursor, or the next one that is there; null when none is, the cursor is at the limit then. */
  async #openFile(limit: Position): Promise<LogFile | null> {
    if (this.#file) return this.#file;
    const { logDir, id } = this.#options;
    const wanted = Math.max(1, this.#at.number);
    await this.#open(wanted);
    if (this.#file) {
      if (wanted !== this.#at.number) this.#at = { number: wanted, offset: 0 };
      return this.#file;
    }
    const key = streamKey(id);
    const [files] = await listStreamFiles(logDir, (other) => streamKey(other) === key);
    const next = files?.numbers.find((number) => number > this.#at.number && number <= limit.number);
    await this.#moveTo(next === undefined ? limit : { number: next, offset: 0 });
    if (next !== undefined) await this.#open(next);
    return this.#file;
  }

  async #open(number: number): Promise<void> {
    const { logDir, id } = this.#options;
    this.#file = await openLogFile(logDir, id, number);
    this.#sizeBytes = null;
  }

  async #moveTo(position: Position): Promise<void> {
    this.#at = position;
    await this.close();
  }
}
