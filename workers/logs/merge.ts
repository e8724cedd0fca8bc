/** Several streams in one, by the time of their records. */
import { LF } from './framer.ts';
import { insertRanked, precedes, type Ranked, recordTime } from './record-time.ts';

/** Sorts before every time. */
const EARLIEST = '';

/**
 * Gives blocks that either end in a newline or, as pieces of one long record, have none; what follows pieces ends
 * their record first. Null at the end.
 */
export type BlockSource = () => Promise<Buffer | null>;

/** Takes bytes [from, to) of a block: whole records, or a piece of one that the next call continues. */
export type RecordTarget = (bytes: Buffer, from: number, to: number) => Promise<void>;

interface Head extends Ranked {
  readonly next: BlockSource;
  block: Buffer;
  /** Where the next record starts in the block. */
  at: number;
  time: string;
}

/**
 * Gives the records of all `sources` to `target`, in the order of their times; at equal times, in the order of the
 * sources. Within a source the order stays, whatever the times. One block per source is in memory.
 */
export async function mergeByTime(sources: readonly BlockSource[], target: RecordTarget): Promise<void> {
  const heads: Head[] = [];
  for (const [rank, next] of sources.entries()) {
    const block = await next();
    if (block) insertRanked(heads, { rank, next, block, at: 0, time: recordTime(block, 0, EARLIEST) });
  }
  for (let head = heads.shift(); head; head = heads.shift()) {
    if (await giveRun(head, heads[0], target)) insertRanked(heads, head);
  }
}

/** Gives the records of `head` up to the one that comes after `rival`, or the block's end; false when it was the last. */
async function giveRun(head: Head, rival: Head | undefined, target: RecordTarget): Promise<boolean> {
  const { block, at } = head;
  if (block.at(-1) !== LF) return giveLongRecord(head, target);
  do {
    head.at = rival ? block.indexOf(LF, head.at) + 1 : block.length;
    if (head.at < block.length) head.time = recordTime(block, head.at, head.time);
  } while (head.at < block.length && rival && precedes(head, rival));
  await target(block, at, head.at);
  return head.at < block.length || (await nextBlock(head));
}

/** No other stream may come between the pieces of a record. */
async function giveLongRecord(head: Head, target: RecordTarget): Promise<boolean> {
  let hasMore = true;
  while (hasMore && head.block.at(-1) !== LF) {
    await target(head.block, 0, head.block.length);
    hasMore = await nextBlock(head);
  }
  if (!hasMore) return false;
  const end = head.block.indexOf(LF) + 1;
  await target(head.block, 0, end);
  head.at = end;
  if (end === head.block.length) return nextBlock(head);
  head.time = recordTime(head.block, end, head.time);
  return true;
}

async function nextBlock(head: Head): Promise<boolean> {
  const block = await head.next();
  if (!block) return false;
  head.block = block;
  head.at = 0;
  head.time = recordTime(block, 0, head.time);
  return true;
}
