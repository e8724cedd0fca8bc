/** Counts the lines that a contender kept, whatever it put before them and however it named its files. */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { NUMBER_DIGITS, type Producer } from './loads.ts';

const LF = 10;
const ZERO = 48;
const NINE = 57;
const CHUNK_BYTES = 1 << 20;
const ISO_CHARACTERS = 24;

/** Number of different lines of the producer in the files of `dir`, each in one piece at the end of a record. */
export function countWholeLines(dir: string, { lines, lineBytes }: Producer): number {
  const seen = new Uint8Array(lines);
  let whole = 0;
  forEachRecord(dir, (bytes, start, end) => {
    const number = readNumber(bytes, end - (lineBytes - 1), start);
    if (number >= lines || seen[number] === 1) return;
    seen[number] = 1;
    whole += 1;
  });
  return whole;
}

/** Characters of the time, milliseconds since the epoch, with which the lines of `steady-producer.ts` begin. */
export const STAMP_CHARACTERS = 17;

/** Records in the files of `dir`, and the times from the print of their lines to that of the record, milliseconds. */
export function readDelays(dir: string, lineBytes: number): { records: number; delaysMs: Float64Array } {
  const delaysMs: number[] = [];
  let records = 0;
  forEachRecord(dir, (bytes, start, end) => {
    records += 1;
    const at = end - (lineBytes - 1);
    const printedAtMs = Number(bytes.toString('latin1', at, at + STAMP_CHARACTERS));
    // The record has whole milliseconds: half of one is its mean error.
    delaysMs.push(Date.parse(bytes.toString('latin1', start, start + ISO_CHARACTERS)) + 0.5 - printedAtMs);
  });
  return { records, delaysMs: Float64Array.from(delaysMs).sort() };
}

/** The number at `at`, where the line should begin; more than any line has when there is none. */
function readNumber(bytes: Buffer, at: number, recordStart: number): number {
  if (at < recordStart) return Number.POSITIVE_INFINITY;
  let number = 0;
  for (let index = at; index < at + NUMBER_DIGITS; index += 1) {
    const byte = bytes[index]!;
    if (byte < ZERO || byte > NINE) return Number.POSITIVE_INFINITY;
    number = number * 10 + byte - ZERO;
  }
  return number;
}

/** Takes bytes [start, end): a record without its newline. */
type TakeRecord = (bytes: Buffer, start: number, end: number) => void;

/** Links and FIFOs are passed by. */
function forEachRecord(dir: string, take: TakeRecord): void {
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) forEachRecordOfFile(join(entry.parentPath, entry.name), take);
  }
}

function forEachRecordOfFile(path: string, take: TakeRecord): void {
  const fd = openSync(path, 'r');
  // Records are short against this; a file without newlines is held as a whole.
  let bytes = Buffer.alloc(Math.min(CHUNK_BYTES, fstatSync(fd).size) + 1);
  let held = 0;
  for (;;) {
    if (held === bytes.length) bytes = Buffer.concat([bytes, Buffer.alloc(CHUNK_BYTES)]);
    const read = readSync(fd, bytes, held, bytes.length - held, null);
    if (read === 0) break;
    const filled = held + read;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LF, start);
      if (end === -1 || end >= filled) break;
      take(bytes, start, end);
      start = end + 1;
    }
    bytes.copyWithin(0, start, filled);
    held = filled - start;
  }
  closeSync(fd);
}
