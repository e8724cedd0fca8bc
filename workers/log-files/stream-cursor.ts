/** Forward cursor over the files of one stream. */
import { isBefore, ORIGIN, type Position, type StreamId, streamKey } from '../../src/protocol/log-files/names.ts';
import { LF } from '../../src/protocol/log-files/record.ts';
import { type LogFile, listStreamFiles, openLogFile } from './log-file.ts';

/** Size of a block; large enough for fast disk access. */
export const BLOCK_BYTES = 65_536;
/** Limit for all blocks together, as each merged stream has one; exceeded only for very many streams. */
const BLOCKS_BYTES = 64 * BLOCK_BYTES;
const MIN_BLOCK_BYTES = 4096;

/** Allocates a buffer for the blocks of each stream. */
export function makeBlocks(streams: number): Buffer[] {
  const bytes = Math.max(MIN_BLOCK_BYTES, Math.min(BLOCK_BYTES, Math.floor(BLOCKS_BYTES / streams)));
  return Array.from({ length: streams }, () => Buffer.allocUnsafeSlow(bytes));
}

/** Block of bytes from a stream. */
export interface Block {
  readonly bytes: Buffer;
  /** Position of the first byte. Offset 0 is the beginning of a file. */
  readonly start: Position;
  /** Position at which the cursor continues. */
  readonly end: Position;
}

interface CursorOptions {
  readonly logDir: string;
  readonly id: StreamId;
  /** Start of a record, or {@link ORIGIN}. */
  readonly start: Position;
  /** True if `start` is within a record. */
  readonly isInRecord?: boolean;
  /** Skips files last written before this time, milliseconds since the epoch. */
  readonly sinceMs?: number | null;
}

/** Tolerance for modification times: the kernel's clock for files may be a tick behind the one used for records. */
const MTIME_SLACK_MS = 1000;

const NEWLINE = Buffer.from([LF]);

/** True if all records of a file are older than `sinceMs`. */
export async function endsBefore(file: LogFile, sinceMs: number | null): Promise<boolean> {
  return sinceMs !== null && (await file.modifiedAtMs()) + MTIME_SLACK_MS < sinceMs;
}

/**
 * Reads records from a position in a stream up to a limit, which may increase. Asynchronous, so that a slow disk does
 * not block the thread.
 */
export class StreamCursor {
  readonly #options: CursorOptions;
  #at: Position;
  #file: LogFile | null = null;
  /** Size of the file; null until it is finished. */
  #sizeBytes: number | null = null;
  #isInRecord: boolean;
  #isAbandoned = false;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.#at = options.start;
    this.#isInRecord = options.isInRecord ?? false;
  }

  /**
   * Reads the next whole records before `limit`, or the next piece of a record that is longer than `target`: bytes
   * without a newline, which the next blocks of this cursor continue. A newline is added if a file ends without one.
   *
   * @param target memory for the block; the next call overwrites it
   * @returns null at the limit
   */
  async take(limit: Position, target: Buffer): Promise<Block | null> {
    // The files were removed and numbering started again.
    if (isBefore(limit, this.#at)) await this.#moveTo(ORIGIN);
    let start = this.#at;
    while (!this.#isAbandoned && isBefore(this.#at, limit)) {
      start = this.#at;
      const block = await this.#readBlock(limit, target).catch((error: unknown) => {
        // Abandoning the cursor closes the file while it is being read.
        if (!this.#isAbandoned) throw error;
        return null;
      });
      if (block) return block;
      if (this.#isInRecord) break;
    }
    if (this.#isAbandoned) await this.close();
    if (!this.#isInRecord) return null;
    this.#isInRecord = false;
    return { bytes: NEWLINE, start, end: this.#at };
  }

  /** Ends the cursor at its position, because its files were removed. */
  abandon(): void {
    this.#isAbandoned = true;
    void this.close();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    this.#sizeBytes = null;
    await file?.close();
  }

  /** Reads a block; at the end of a file returns null and moves past it. */
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
      // This is before the limit only if somebody truncated the newest file.
      await this.#moveTo(next);
      return null;
    }
    const newline = target.lastIndexOf(LF, bytesRead - 1);
    const length = newline === -1 ? bytesRead : newline + 1;
    this.#at = { number, offset: offset + length };
    this.#isInRecord = newline === -1;
    return { bytes: target.subarray(0, length), start, end: this.#at };
  }

  /**
   * Opens the file at the cursor, or the next one that exists; if there is none, returns null and moves to the limit.
   */
  async #openFile(limit: Position): Promise<LogFile | null> {
    if (this.#file) return this.#file;
    const { logDir, id } = this.#options;
    if (this.#at.number === 0) this.#at = { number: 1, offset: 0 };
    const { number } = this.#at;
    this.#file = await openLogFile(logDir, id, number);
    if (this.#file) return this.#file;
    const key = streamKey(id);
    const [files] = await listStreamFiles(logDir, (other) => streamKey(other) === key);
    const next = files?.numbers.find((other) => other > number && other <= limit.number);
    this.#at = next === undefined ? limit : { number: next, offset: 0 };
    if (next !== undefined) this.#file = await openLogFile(logDir, id, next);
    return this.#file;
  }

  async #moveTo(position: Position): Promise<void> {
    this.#at = position;
    await this.close();
  }
}
