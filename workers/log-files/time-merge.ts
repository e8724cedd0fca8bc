/** Several streams in one, by the time of their records. */

import { recordTime } from '../../src/protocol/log-files/formats.ts';
import type { Position } from '../../src/protocol/log-files/names.ts';
import { EARLIEST, LF } from '../../src/protocol/log-files/record.ts';
import type { Block } from './stream-cursor.ts';

/** Stream at one of its records. */
export interface Ranked {
  readonly time: string;
  /** Index of the stream among the streams: decides between equal times. */
  readonly rank: number;
}

/** True if `a` comes before `b`. */
function precedes(a: Ranked, b: Ranked): boolean {
  return a.time < b.time || (a.time === b.time && a.rank < b.rank);
}

/** Inserts `item` into `list`, which is in rising order. */
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

/** A stream to merge. */
export interface MergeSource {
  /**
   * Gives blocks that either end in a newline or, as pieces of one long record, have none; what follows pieces ends
   * their record first. Null at the end. A block is used until the next one is asked for.
   */
  readonly next: () => Promise<Block | null>;
  /** Time of the record before the first one. */
  readonly time?: string;
  /** The first block continues a record. */
  readonly isInRecord?: boolean;
}

/** Bytes [from, to) of a block: whole records, or a piece of one that the next run continues. Good until the next run. */
export interface Run {
  /** Place of the stream among the sources. */
  readonly rank: number;
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

/** How far a source was given. */
export interface MergePlace {
  readonly at: Position;
  readonly isInRecord: boolean;
}

interface Head extends Ranked {
  readonly next: MergeSource['next'];
  block: Block | null;
  /** Where the next record starts in the block. */
  at: number;
  time: string;
  isInRecord: boolean;
}

/** The place at offset `at` of a block. */
export function placeIn(block: Block, at: number): Position {
  if (at === block.bytes.length) return block.end;
  return { number: block.start.number, offset: block.start.offset + at };
}

/**
 * Gives the records of all sources in the order of their times; at equal times, in the order of the sources. Within a
 * source the order stays, whatever the times. One block per source is in memory.
 */
export class TimeMerge {
  readonly #all: readonly Head[];
  /** Those that have more, in rising order. */
  readonly #waiting: Head[] = [];
  /** The one whose run was given last. */
  #current: Head | null = null;

  private constructor(heads: readonly Head[]) {
    this.#all = heads;
  }

  /** Reads the first block of every source. */
  static async open(sources: readonly MergeSource[]): Promise<TimeMerge> {
    const heads = sources.map(
      ({ next, time = EARLIEST, isInRecord = false }, rank): Head => ({
        ...{ rank, next, time, isInRecord },
        block: null,
        at: 0,
      }),
    );
    const merge = new TimeMerge(heads);
    for (const head of heads) {
      if (!(await load(head))) continue;
      if (head.isInRecord) merge.#current = head;
      else insertRanked(merge.#waiting, head);
    }
    return merge;
  }

  /** The next run; null when all were given. */
  async next(): Promise<Run | null> {
    const last = this.#current;
    if (last && (last.at < last.block!.bytes.length || (await load(last)))) {
      // No other stream may come between the pieces of a record.
      if (last.isInRecord) return this.#give(last);
      insertRanked(this.#waiting, last);
    }
    this.#current = null;
    const head = this.#waiting.shift();
    return head ? this.#give(head) : null;
  }

  /** How far each source was given, the last run included; null for one that had nothing. */
  places(): (MergePlace | null)[] {
    return this.#all.map(({ block, at, isInRecord }) => block && { at: placeIn(block, at), isInRecord });
  }

  #give(head: Head): Run {
    this.#current = head;
    const { block, at: from, rank } = head;
    if (head.isInRecord || block!.bytes.at(-1) !== LF) advanceInRecord(head);
    else advance(head, this.#waiting[0]);
    return { rank, block: block!, from, to: head.at };
  }
}

/** Past the records up to the one that comes after `rival`, or to the block's end. */
function advance(head: Head, rival: Head | undefined): void {
  const { bytes } = head.block!;
  do {
    head.at = rival ? bytes.indexOf(LF, head.at) + 1 : bytes.length;
    if (head.at < bytes.length) head.time = recordTime(bytes, head.at, head.time);
  } while (head.at < bytes.length && rival && precedes(head, rival));
}

/** Past the piece of a record that the block begins with. */
function advanceInRecord(head: Head): void {
  const { bytes } = head.block!;
  const end = bytes.indexOf(LF, head.at) + 1;
  head.isInRecord = end === 0;
  head.at = end === 0 ? bytes.length : end;
  if (head.at < bytes.length) head.time = recordTime(bytes, head.at, head.time);
}

/** Loads the next block; the old one stays where there is none, for it says where the stream ended. */
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
