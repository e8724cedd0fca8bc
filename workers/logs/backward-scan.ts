/** Backward through the records of one stream, to find where its last ones start. */
import type { Position, StreamFiles } from './file-names.ts';
import { LF } from './framer.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { RECORD_HEAD_BYTES, recordTime } from './record-time.ts';

/** Sorts behind every time. */
const LATEST = '~';

/** A record that was found. */
export interface FoundRecord {
  readonly start: Position;
  readonly time: string;
}

/** Holds one block of one file, however long the records are. */
export class BackwardScan {
  readonly #logDir: string;
  readonly #files: StreamFiles;
  #file: LogFile | null = null;
  #index: number;
  /** Where the record found last starts: the one before it ends there. */
  #endBytes: number;
  #block: Buffer = Buffer.alloc(0);
  #blockStart = 0;
  #time = LATEST;

  /** @param end where the last record of interest ends */
  constructor(logDir: string, files: StreamFiles, end: Position) {
    this.#logDir = logDir;
    this.#files = files;
    this.#index = files.numbers.indexOf(end.number);
    this.#endBytes = this.#index === -1 ? 0 : end.offset;
  }

  /** The record before the one that was found last; null when there is none. */
  async previous(): Promise<FoundRecord | null> {
    while (this.#endBytes === 0) {
      if (this.#index <= 0) return null;
      this.#index -= 1;
      await this.close();
      this.#endBytes = (await (await this.#open())?.sizeBytes()) ?? 0;
    }
    const offset = await this.#findStart();
    this.#endBytes = offset;
    this.#time = recordTime(this.#block, offset - this.#blockStart, this.#time);
    return { start: { number: this.#files.numbers[this.#index]!, offset }, time: this.#time };
  }

  /** Whether the last record of interest is whole. */
  async endsInNewline(): Promise<boolean> {
    const last = Buffer.alloc(1);
    await (await this.#open())?.read(last, this.#endBytes - 1);
    return last[0] === LF;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    this.#block = Buffer.alloc(0);
    await file?.close();
  }

  /** Offset behind the newest newline that is not the record's own, which would be its last byte. */
  async #findStart(): Promise<number> {
    let searchEnd = this.#endBytes - 1;
    for (;;) {
      if (searchEnd <= this.#blockStart || this.#block.length === 0) await this.#load(searchEnd);
      const last = searchEnd - 1 - this.#blockStart;
      const newline = last < 0 ? -1 : this.#block.lastIndexOf(LF, last);
      if (newline !== -1) return this.#blockStart + newline + 1;
      if (this.#blockStart === 0) return 0;
      searchEnd = this.#blockStart;
    }
  }

  /** Reads the block before `end`, and as much behind it as a time takes: a record may start at `end`. */
  async #load(end: number): Promise<void> {
    const file = await this.#open();
    this.#blockStart = Math.max(0, end - (file?.backwardBlockBytes ?? 0));
    const buffer = Buffer.alloc(end - this.#blockStart + RECORD_HEAD_BYTES);
    const length = file ? await file.read(buffer, this.#blockStart) : 0;
    this.#block = buffer.subarray(0, length);
    // Cut short from outside: there is nothing before it that could be found.
    if (length === 0) this.#blockStart = 0;
  }

  /** Null when it was removed while it was looked for: it has no records then. */
  async #open(): Promise<LogFile | null> {
    this.#file ??= await openLogFile(this.#logDir, this.#files.id, this.#files.numbers[this.#index]!);
    return this.#file;
  }
}
