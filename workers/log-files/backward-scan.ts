/** Backward through the records of one stream, to find where its last ones start. */

import { recordTime } from '../../src/protocol/log-files/formats.ts';
import type { Position } from '../../src/protocol/log-files/names.ts';
import type { FoundRecord } from '../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF, RECORD_TIME_BYTES } from '../../src/protocol/log-files/record.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { MAX_SEEN_BYTES, scanRecords } from './record-scan.ts';
import { endsBefore } from './stream-cursor.ts';
import type { StreamFiles } from './stream-files.ts';

/** Whether a record is wanted. Its bytes are without newline, and of a long one only the first MiB. */
export type RecordTest = (bytes: Buffer, from: number, to: number, time: string) => boolean;

/** Where to scan, and for what. */
export interface BackwardScanOptions {
  readonly logDir: string;
  readonly files: StreamFiles;
  /** Where the last record of interest ends. */
  readonly end: Position;
  /** All records by default. */
  readonly wants?: RecordTest | null;
  /** Files that were last written before are passed over, milliseconds since the epoch. */
  readonly sinceMs?: number | null;
  /** To read into; scans that take turns may share it. */
  readonly memory: Buffer;
}

/** How much of a file is looked at in one go. A compressed one is looked at from its beginning, whatever is wanted. */
const SECTION_BYTES = 65_536;
/** Most records that are remembered of one section; those before them are a section of their own. */
const MAX_FOUND = 16_384;

/** Looks at a section at a time, forward, and gives what it found there from behind. */
export class BackwardScan {
  readonly #options: BackwardScanOptions;
  #index: number;
  #file: LogFile | null = null;
  /** Where the part of the file ends that has not been looked at. */
  #endBytes: number;
  /** Found in the section that was looked at last, in rising order. */
  readonly #found: FoundRecord[] = [];

  constructor(options: BackwardScanOptions) {
    const { files, end } = options;
    this.#options = options;
    this.#index = files.numbers.findLastIndex((number) => number <= end.number);
    this.#endBytes = end.offset;
    if (files.numbers[this.#index] === end.number) return;
    // It was removed: the one before it comes next.
    this.#index += 1;
    this.#endBytes = 0;
  }

  /** What has not been looked at ends here, once all that was found has been given. */
  get at(): Position {
    return { number: this.#options.files.numbers[this.#index] ?? 0, offset: this.#endBytes };
  }

  /**
   * The record before the one that was found last; null when there is none.
   *
   * @param isDue asked between two sections: true ends the search for now
   */
  async previous(isDue: () => boolean = () => false): Promise<FoundRecord | 'later' | null> {
    while (this.#found.length === 0) {
      if (this.#endBytes > 0) await this.#lookAtSection();
      else if (this.#index > 0) await this.#openPrevious();
      else return null;
      if (this.#found.length === 0 && isDue()) return 'later';
    }
    return this.#found.pop()!;
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
    await file?.close();
  }

  async #openPrevious(): Promise<void> {
    await this.close();
    this.#index -= 1;
    const file = await this.#open();
    const isOld = !file || (await endsBefore(file, this.#options.sinceMs ?? null));
    this.#endBytes = isOld ? 0 : await file.sizeBytes();
  }

  async #lookAtSection(): Promise<void> {
    const file = await this.#open();
    if (!file) {
      this.#endBytes = 0;
      return;
    }
    const start = file.isCompressed ? 0 : await this.#findStart(file, this.#endBytes);
    const { wants, memory, files } = this.#options;
    const number = files.numbers[this.#index]!;
    let time = await this.#timeAt(file, start);
    let sectionStart = start;
    const visit = (offset: number, bytes: Buffer, from: number, to: number): void => {
      time = recordTime(bytes, from, time);
      if (wants && !wants(bytes, from, to, time)) return;
      this.#found.push({ start: { number, offset }, time });
      if (this.#found.length < 2 * MAX_FOUND) return;
      this.#found.splice(0, MAX_FOUND);
      sectionStart = this.#found[0]!.start.offset;
    };
    const seenBytes = wants ? MAX_SEEN_BYTES : 0;
    await scanRecords(file, { start, end: this.#endBytes }, { memory, seenBytes }, visit);
    this.#endBytes = sectionStart;
  }

  /** Where the records of a section before `end` start: in a larger one where a single record fills it. */
  async #findStart(file: LogFile, end: number): Promise<number> {
    for (let bytes = SECTION_BYTES; bytes < end; bytes *= 2) {
      // The newline before `end` is that of the last record.
      const newline = await findNewline(file, end - bytes - 1, end - 1, this.#options.memory);
      if (newline !== -1) return newline + 1;
    }
    return 0;
  }

  /** Time of the record at `start`, or of the last one before it that has one in the file. */
  async #timeAt(file: LogFile, start: number): Promise<string> {
    const { memory } = this.#options;
    const head = Buffer.alloc(RECORD_TIME_BYTES);
    for (let at = start; at > 0; ) {
      await file.read(head, at);
      let time = recordTime(head, 0, EARLIEST);
      if (time !== EARLIEST) return time;
      const before = await this.#findStart(file, at);
      await scanRecords(file, { start: before, end: at }, { memory, seenBytes: 0 }, (_offset, bytes, from) => {
        time = recordTime(bytes, from, time);
      });
      if (time !== EARLIEST) return time;
      at = before;
    }
    return EARLIEST;
  }

  /** Null when it was removed while it was looked for: it has no records then. */
  async #open(): Promise<LogFile | null> {
    const { logDir, files } = this.#options;
    this.#file ??= await openLogFile(logDir, files.id, files.numbers[this.#index]!);
    return this.#file;
  }
}

/** The first newline in the file from `start` on and before `end`, or -1. */
async function findNewline(file: LogFile, start: number, end: number, memory: Buffer): Promise<number> {
  for (let at = start; at < end; ) {
    const length = await file.read(memory.subarray(0, Math.min(memory.length, end - at)), at);
    if (length === 0) return -1;
    const newline = memory.subarray(0, length).indexOf(LF);
    if (newline !== -1) return at + newline;
    at += length;
  }
  return -1;
}
