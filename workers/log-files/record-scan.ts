/** Forward through the records of a part of a file. */
import { LF, RECORD_TIME_BYTES } from '../../src/protocol/log-files/record.ts';
import type { LogFile } from './log-file.ts';

/** Of a record that is longer, only so much is looked at. */
export const MAX_SEEN_BYTES = 2 ** 20;

/** A record, in bytes [from, to) without its newline; of a long one only the beginning. Good during the call only. */
export type RecordVisitor = (offset: number, bytes: Buffer, from: number, to: number) => void;

/** What a scan works with. */
export interface ScanMemory {
  /** To read into; larger than the head of a record. */
  readonly memory: Buffer;
  /** How much of a record is given that is longer than the memory; at least its head is. */
  readonly seenBytes: number;
}

/** Calls `visit` for each record in the file between the offsets `start`, where a record starts, and `end`. */
export async function scanRecords(
  file: LogFile,
  { start, end }: { readonly start: number; readonly end: number },
  scan: ScanMemory,
  visit: RecordVisitor,
): Promise<void> {
  const { memory } = scan;
  for (let at = start; at < end; ) {
    const wanted = Math.min(memory.length, end - at);
    const block = memory.subarray(0, await file.read(memory.subarray(0, wanted), at));
    if (block.length === 0) return;
    let from = 0;
    for (let newline = block.indexOf(LF); newline !== -1; newline = block.indexOf(LF, from)) {
      visit(at + from, block, from, newline);
      from = newline + 1;
    }
    if (at + block.length >= end || block.length < wanted) {
      if (from < block.length) visit(at + from, block, from, block.length);
      return;
    }
    // A block without any newline begins a record that is longer.
    at = from === 0 ? await scanLongRecord(file, at, end, scan, visit) : at + from;
  }
}

/** Returns where the record at `start` ends, whose beginning fills the memory. */
async function scanLongRecord(
  file: LogFile,
  start: number,
  end: number,
  { memory, seenBytes }: ScanMemory,
  visit: RecordVisitor,
): Promise<number> {
  const pieces: Buffer[] = [];
  let missing = Math.max(seenBytes, RECORD_TIME_BYTES);
  const keep = (piece: Buffer): void => {
    if (missing > 0) pieces.push(Buffer.from(piece.subarray(0, missing)));
    missing -= piece.length;
  };
  keep(memory);
  let at = start + memory.length;
  for (let newline = -1; newline === -1 && at < end; ) {
    const wanted = Math.min(memory.length, end - at);
    const block = memory.subarray(0, await file.read(memory.subarray(0, wanted), at));
    if (block.length === 0) break;
    newline = block.indexOf(LF);
    keep(newline === -1 ? block : block.subarray(0, newline));
    at += newline === -1 ? block.length : newline + 1;
  }
  const record = Buffer.concat(pieces);
  visit(start, record, 0, record.length);
  return at;
}
