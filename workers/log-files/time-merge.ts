/** Merges several streams by the time of their records. */

import { recordTime } from '../../src/protocol/log-files/formats.ts';
import type { Position } from '../../src/protocol/log-files/names.ts';
import { EARLIEST, LF } from '../../src/protocol/log-files/record.ts';
import type { Block } from './stream-cursor.ts';

/** Stream positioned at one of its records. */
export interface Ranked {
  readonly time: string;
  /** Index of the stream, which decides between equal times. */
  readonly rank: number;
}

/** True if `a` comes before `b`. */
function precedes(a: Ranked, b: Ranked): boolean {
  return a.time < b.time || (a.time === b.time && a.rank < b.rank);
}

/** Inserts `item` into `list`, which is in ascending order. */
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

/** Stream to merge. */
export interface MergeSource {
  /**
   * Returns the next block; null at the end. A block ends in a newline, unless it is a piece of a long record, which
   * the next blocks complete before anything else. A block stays in use until the next call.
   */
  readonly next: () => Promise<Block | null>;
  /** Time of the record before the first one. */
  readonly time?: string;
  /** True if the first block continues a record. */
  readonly isInRecord?: boolean;
}

/**
 * Bytes [from, to) of a block: whole records, or a piece of one that the next run continues. Valid until the next run.
 */
export interface Run {
  /** Index of the stream among the sources. */
  readonly rank: number;
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

interface Head extends Ranked {
  readonly next: MergeSource['next'];
  block: Block | null;
  /** Start of the next record in the block. */
  at: number;
  time: string;
  isInRecord: boolean;
}

/** Position that corresponds to offset `at` of a block. */
export function placeIn(block: Block, at: number): Position {
  if (at === block.bytes.length) return block.end;
  return { number: block.start.number, offset: block.start.offset + at };
}

/**
 * Returns the records of all sources ordered by time and, at equal times, by source. Records of one source keep their
 * order, whatever their times. Holds one block per source in memory.
 */
export class TimeMerge {
  /** Sources that have more records, in ascending order. */
  readonly #waiting: Head[] = [];
  /** Source of the last returned run. */
  #current: Head | null = null;

  /** Reads the first block of every source. */
  static async open(sources: readonly MergeSource[]): Promise<TimeMerge> {
    const merge = new TimeMerge();
    for (const [rank, { next, time = EARLIEST, isInRecord = false }] of sources.entries()) {
      const head: Head = { rank, next, time, isInRecord, block: null, at: 0 };
      if (!(await load(head))) continue;
      if (head.isInRecord) merge.#current = head;
      else insertRanked(merge.#waiting, head);
    }
    return merge;
  }

  /** Returns the next run; null at the end. */
  async next(): Promise<Run | null> {
    const last = this.#current;
    if (last && (last.at < last.block!.bytes.length || (await load(last)))) {
      // Nothing may come between the pieces of a record.
      if (last.isInRecord) return this.#give(last);
      insertRanked(this.#waiting, last);
    }
    this.#current = null;
    const head = this.#waiting.shift();
    return head ? this.#give(head) : null;
  }

  #give(head: Head): Run {
    this.#current = head;
    const { block, at: from, rank } = head;
    advance(head, this.#waiting[0]);
    return { rank, block: block!, from, to: head.at };
  }
}

/** Moves past the records that precede `rival`, to the end of the block, or past a piece of a record. */
function advance(head: Head, rival: Head | undefined): void {
  const { bytes } = head.block!;
  const isPiece = head.isInRecord || bytes.at(-1) !== LF;
  do {
    const newline = isPiece || rival ? bytes.indexOf(LF, head.at) : bytes.length - 1;
    head.isInRecord = newline === -1;
    head.at = head.isInRecord ? bytes.length : newline + 1;
    if (head.at < bytes.length) head.time = recordTime(bytes, head.at, head.time);
  } while (!isPiece && head.at < bytes.length && rival && precedes(head, rival));
}

/** Loads the next block; false at the end. */
async function load(head: Head): Promise<boolean> {
  const block = await head.next();
  if (!block) return false;
  head.block = block;
  head.at = 0;
  if (head.isInRecord) return true;
  const isNewFile = block.start.offset === 0;
  head.time = recordTime(block.bytes, 0, isNewFile ? EARLIEST : head.time);
  return true;
}
