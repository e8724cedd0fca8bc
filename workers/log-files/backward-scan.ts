/** Scans the records of one stream backward, to find where its last ones start. */

import { recordTime } from '../../src/protocol/log-files/formats.ts';
import type { Position } from '../../src/protocol/log-files/names.ts';
import type { FoundRecord } from '../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF, RECORD_TIME_BYTES } from '../../src/protocol/log-files/record.ts';
import { type LogFile, openLogFile, type StreamFiles } from './log-file.ts';
import { BLOCK_BYTES, endsBefore } from './stream-cursor.ts';

/** Maximum number of bytes of a record that are passed to a test. */
export const MAX_SEEN_BYTES = 2 ** 20;

/** Test of a record in [from, to), without its newline; for a long record, of its first {@link MAX_SEEN_BYTES}. */
export type RecordTest = (bytes: Buffer, from: number, to: number, time: string) => boolean;

export interface ScanOptions {
  readonly logDir: string;
  /** Test for wanted records; by default all match. */
  readonly wants?: RecordTest;
  /** Skips files last written before this time, milliseconds since the epoch. */
  readonly sinceMs?: number | null;
}

interface BackwardScanOptions extends ScanOptions {
  readonly files: StreamFiles;
  /** End of the last relevant record. */
  readonly end: Position;
  /** Buffer to read into; scans that run in turn may share it. */
  readonly memory: Buffer;
}

/** Maximum number of records remembered per section; earlier ones form a separate section. */
const MAX_FOUND = 16_384;

/** Reads one section at a time, forward, and returns its records in reverse order. */
export class BackwardScan {
  readonly #options: BackwardScanOptions;
  #index: number;
  #file: LogFile | null = null;
  /** End of the part of the file that has not been scanned yet. */
  #endBytes: number;
  /** Records of the last section that have not been returned yet, in ascending order. */
  readonly #found: FoundRecord[] = [];

  constructor(options: BackwardScanOptions) {
    const { files, end } = options;
    this.#options = options;
    this.#index = files.numbers.findLastIndex((number) => number <= end.number);
    this.#endBytes = end.offset;
    if (files.numbers[this.#index] === end.number) return;
    // The file was removed: continue with the one before.
    this.#index += 1;
    this.#endBytes = 0;
  }

  /** End of the part of the stream that has not been scanned, once all found records have been returned. */
  get at(): Position {
    return { number: this.#options.files.numbers[this.#index] ?? 0, offset: this.#endBytes };
  }

  /**
   * Returns the record before the one returned last; null if there is none.
   *
   * @param isDue called between two sections; if it returns true, the result is `later`
   */
  async previous(isDue: () => boolean = () => false): Promise<FoundRecord | 'later' | null> {
    while (this.#found.length === 0) {
      if (this.#endBytes > 0) await this.#scanSection();
      else if (this.#index > 0) await this.#openPrevious();
      else return null;
      if (this.#found.length === 0 && isDue()) return 'later';
    }
    return this.#found.pop()!;
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

  async #scanSection(): Promise<void> {
    const file = await this.#open();
    if (!file) {
      this.#endBytes = 0;
      return;
    }
    // A compressed file is a single section, because it can only be read forward.
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
    const keptBytes = wants ? MAX_SEEN_BYTES : RECORD_TIME_BYTES;
    await scanRecords(file, { start, end: this.#endBytes, memory, keptBytes }, visit);
    this.#endBytes = sectionStart;
  }

  /** Start of the section before `end`: one block of a plain file, or more if needed to contain a whole record. */
  async #findStart(file: LogFile, end: number): Promise<number> {
    const { memory } = this.#options;
    // The newline before `end` belongs to the last record.
    for (let at = end - 1 - memory.length; at > 0; at -= memory.length) {
      const newline = memory.subarray(0, await file.read(memory, at)).indexOf(LF);
      if (newline !== -1) return at + newline + 1;
    }
    return 0;
  }

  /** Time of the record at `start`, or of the last record before it in the file that has one. */
  async #timeAt(file: LogFile, start: number): Promise<string> {
    const { memory } = this.#options;
    const head = Buffer.alloc(RECORD_TIME_BYTES);
    for (let at = start; at > 0; ) {
      await file.read(head, at);
      let time = recordTime(head, 0, EARLIEST);
      if (time !== EARLIEST) return time;
      const before = await this.#findStart(file, at);
      const section = { start: before, end: at, memory, keptBytes: RECORD_TIME_BYTES };
      await scanRecords(file, section, (_offset, bytes, from) => {
        time = recordTime(bytes, from, time);
      });
      if (time !== EARLIEST) return time;
      at = before;
    }
    return EARLIEST;
  }

  /** Opens the current file; null if it was removed after it had been listed. */
  async #open(): Promise<LogFile | null> {
    const { logDir, files } = this.#options;
    this.#file ??= await openLogFile(logDir, files.id, files.numbers[this.#index]!);
    return this.#file;
  }
}

/**
 * Finds the end of a stream that is not being written.
 *
 * @param skipsTorn excludes a last record without a newline, which is repaired when the stream is opened again
 */
export async function findEnd(
  logDir: string,
  files: StreamFiles,
  { skipsTorn }: { readonly skipsTorn: boolean },
): Promise<Position> {
  const number = files.numbers.at(-1)!;
  const file = await openLogFile(logDir, files.id, number);
  const end = { number, offset: (await file?.sizeBytes()) ?? 0 };
  const lastByte = Buffer.alloc(1);
  if (skipsTorn && end.offset > 0) await file?.read(lastByte, end.offset - 1);
  await file?.close();
  if (!skipsTorn || end.offset === 0 || lastByte[0] === LF) return end;
  const scan = new BackwardScan({ logDir, files, end, memory: Buffer.allocUnsafeSlow(BLOCK_BYTES) });
  try {
    const last = await scan.previous();
    return last === null || last === 'later' ? end : last.start;
  } finally {
    await scan.close();
  }
}

/**
 * Receives a record in [from, to) without its newline; for a long one only its beginning. The bytes are valid during
 * the call.
 */
type RecordVisitor = (offset: number, bytes: Buffer, from: number, to: number) => void;

interface Section {
  /** Start of a record. */
  readonly start: number;
  readonly end: number;
  /** Buffer to read into. */
  readonly memory: Buffer;
  /** Number of bytes to copy of a record that spans several blocks; enough for its time. */
  readonly keptBytes: number;
}

/** Calls `visit` for each record of a section. */
async function scanRecords(
  file: LogFile,
  { start, end, memory, keptBytes }: Section,
  visit: RecordVisitor,
): Promise<void> {
  let recordStart = start;
  /** Copies of the beginning of a record that continues in the next block. */
  const pieces: Buffer[] = [];
  let missing = keptBytes;
  const keep = (piece: Buffer): void => {
    if (missing > 0 && piece.length > 0) pieces.push(Buffer.from(piece.subarray(0, missing)));
    missing -= piece.length;
  };
  const visitKept = (): void => {
    const record = Buffer.concat(pieces.splice(0));
    missing = keptBytes;
    visit(recordStart, record, 0, record.length);
  };
  for (let at = start; at < end; ) {
    const wanted = Math.min(memory.length, end - at);
    const block = memory.subarray(0, await file.read(memory.subarray(0, wanted), at));
    if (block.length === 0) break;
    let from = 0;
    for (let newline = block.indexOf(LF); newline !== -1; newline = block.indexOf(LF, from)) {
      if (pieces.length === 0) {
        visit(recordStart, block, from, newline);
      } else {
        keep(block.subarray(0, newline));
        visitKept();
      }
      from = newline + 1;
      recordStart = at + from;
    }
    keep(block.subarray(from));
    at += block.length;
  }
  if (pieces.length > 0) visitKept();
}
