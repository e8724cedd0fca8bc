/** The order of records of several streams: by the time at their start, as text of fixed width. */
import { isoTime } from '../../src/lib/clock.ts';
import { TEXT_TIME_BYTES } from '../../src/protocol/log-record.ts';

/** Bytes at the start of a record that tell its time, in either format. */
export const RECORD_HEAD_BYTES = 33;

const BRACE = 0x7b;
const COLON = 0x3a;
const COMMA = 0x2c;
/** Where the digits of `{"level":30,"time":1763884800123,` start; 13 of them from 2001 to 2286. */
const JSON_TIME_START = 19;
const JSON_TIME_END = 32;

/**
 * The time at the start of a record, RFC 3339, or `otherwise` when there is none: a record that was cut off, or that
 * another program wrote, stays with its neighbour.
 */
export function recordTime(bytes: Buffer, at: number, otherwise: string): string {
  if (bytes[at] === BRACE) return jsonRecordTime(bytes, at) ?? otherwise;
  const isTime = bytes[at + 4] === 0x2d && bytes[at + 10] === 0x54 && bytes[at + TEXT_TIME_BYTES - 1] === 0x5a;
  return isTime ? bytes.toString('latin1', at, at + TEXT_TIME_BYTES) : otherwise;
}

function jsonRecordTime(bytes: Buffer, at: number): string | null {
  if (bytes[at + JSON_TIME_START - 1] !== COLON || bytes[at + JSON_TIME_END] !== COMMA) return null;
  const epochMs = Number(bytes.toString('latin1', at + JSON_TIME_START, at + JSON_TIME_END));
  return Number.isSafeInteger(epochMs) ? isoTime(epochMs) : null;
}

/** A stream at one of its records. */
export interface Ranked {
  readonly time: string;
  /** Place of the stream among the streams: decides between equal times. */
  readonly rank: number;
}

/** Whether `a` comes before `b`. */
export function precedes(a: Ranked, b: Ranked): boolean {
  return a.time < b.time || (a.time === b.time && a.rank < b.rank);
}

/** Puts `item` where it belongs in `list`, which is in rising order. */
export function insertRanked<T extends Ranked>(list: T[], item: T): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (precedes(list[middle]!, item)) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, item);
}
