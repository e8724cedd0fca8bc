/** Forward through the files of one stream, for a reader. */

import { listStreamFiles, ORIGIN, type Position, type StreamId, streamKey } from './file-names.ts';
import { LF } from './framer.ts';
import { type LogFile, openLogFile } from './log-file.ts';

/** The most that is read from a file, and that is sent, at once. */
export const BLOCK_BYTES = 65_536;

/**
 * Reads records from a place in a stream up to a limit that may rise. Asynchronous, so that a slow disk does not keep
 * the thread from the FIFOs.
 */
export class StreamCursor {
  readonly #logDir: string;
  readonly #id: StreamId;
  #at: Position;
  #file: LogFile | null = null;
  #isInRecord = false;
  #isAbandoned = false;

  /** @param start where a record starts, or {@link ORIGIN} */
  constructor(logDir: string, id: StreamId, start: Position) {
    this.#logDir = logDir;
    this.#id = id;
    this.#at = start;
  }

  /**
   * The next whole records before `limit`, or, of a record that is longer than a block, the next piece: bytes without
   * any newline, which the next blocks of this cursor continue. A newline is added where a file ends without one.
   *
   * @returns at most {@link BLOCK_BYTES}; null at the limit
   */
  async take(limit: Position): Promise<Buffer | null> {
    // Somebody removed the files, and the numbers began anew.
    if (isBefore(limit, this.#at)) await this.#moveTo(ORIGIN);
    while (!this.#isAbandoned && isBefore(this.#at, limit)) {
      const block = await this.#readBlock(limit);
      if (block) return block;
      if (this.#isInRecord) break;
    }
    if (this.#isAbandoned) await this.close();
    return this.#endRecord();
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
  async #readBlock(limit: Position): Promise<Buffer | null> {
    const file = await this.#openFile(limit);
    if (!file) return null;
    const { number, offset } = this.#at;
    const isNewest = number === limit.number;
    const endBytes = isNewest ? limit.offset : await file.sizeBytes();
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(BLOCK_BYTES, endBytes - offset)));
    const bytesRead = await file.read(buffer, offset);
    if (bytesRead === 0) {
      // Short of the limit in the newest file only where somebody cut the file: what was there is gone.
      await this.#moveTo(isNewest ? limit : { number: number + 1, offset: 0 });
      return null;
    }
    const newline = buffer.lastIndexOf(LF, bytesRead - 1);
    const length = newline === -1 ? bytesRead : newline + 1;
    this.#at = { number, offset: offset + length };
    this.#isInRecord = newline === -1;
    return buffer.subarray(0, length);
  }

  /** The file at the cursor, or the next one that is there; null when none is, the cursor is at the limit then. */
  async #openFile(limit: Position): Promise<LogFile | null> {
    if (this.#file) return this.#file;
    const wanted = Math.max(1, this.#at.number);
    this.#file = await openLogFile(this.#logDir, this.#id, wanted);
    if (this.#file) {
      if (wanted !== this.#at.number) this.#at = { number: wanted, offset: 0 };
      return this.#file;
    }
    const key = streamKey(this.#id);
    const [files] = await listStreamFiles(this.#logDir, (id) => streamKey(id) === key);
    const next = files?.numbers.find((number) => number > this.#at.number && number <= limit.number);
    await this.#moveTo(next === undefined ? limit : { number: next, offset: 0 });
    if (next !== undefined) this.#file = await openLogFile(this.#logDir, this.#id, next);
    return this.#file;
  }

  async #moveTo(position: Position): Promise<void> {
    this.#at = position;
    await this.close();
  }

  #endRecord(): Buffer | null {
    if (!this.#isInRecord) return null;
    this.#isInRecord = false;
    return Buffer.from([LF]);
  }
}

function isBefore(a: Position, b: Position): boolean {
  return a.number < b.number || (a.number === b.number && a.offset < b.offset);
}
