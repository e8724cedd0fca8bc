/** What a writer has to know of a file that it goes on with: how it ends and when it was begun. */

import { MAX_TAIL_BYTES, recordTime } from '../../../src/protocol/log-files/formats.ts';
import { RECORD_TIME_BYTES } from '../../../src/protocol/log-files/record.ts';
import { LF } from '../format/framer.ts';
import { call, type FileWork } from './files.ts';

const BLOCK_BYTES = 65_536;

/** The last record of a file of `sizeBytes`, with its newline if it has one; empty for an empty file. */
export function* readLastRecord(fd: number, sizeBytes: number): FileWork<Buffer> {
  const blocks: Buffer[] = [];
  let start = sizeBytes;
  while (start > 0 && sizeBytes - start < MAX_TAIL_BYTES) {
    const end = start;
    start = Math.max(0, end - BLOCK_BYTES);
    const block = Buffer.alloc(end - start);
    const read = yield* call('read', fd, block, start);
    if (read === 0) break;
    blocks.unshift(block.subarray(0, read));
    // The newline at the very end is the record's own.
    const last = end === sizeBytes ? read - 2 : read - 1;
    const newline = last < 0 ? -1 : block.lastIndexOf(LF, last);
    if (newline === -1) continue;
    blocks[0] = block.subarray(newline + 1, read);
    break;
  }
  return Buffer.concat(blocks);
}

/** Time of the first record, milliseconds since the epoch; null where there is none that can be read. */
export function* readFirstTime(fd: number): FileWork<number | null> {
  const head = Buffer.alloc(RECORD_TIME_BYTES);
  yield* call('read', fd, head, 0);
  const epochMs = Date.parse(recordTime(head, 0, ''));
  return Number.isNaN(epochMs) ? null : epochMs;
}
