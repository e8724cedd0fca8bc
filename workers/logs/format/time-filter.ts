/** What a query for times lets through of a stream that is followed. */

import { recordTime } from '../../../src/protocol/log-files/formats.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import type { Block } from '../../log-files/stream-cursor.ts';
import type { TimeRange } from '../../log-files/time-range.ts';

/** Takes the blocks of one stream in order. */
export class TimeSieve {
  readonly #range: TimeRange;
  #time: string;
  /** Of the record whose end has not come, or null. */
  #isWanted: boolean | null = null;

  /** @param time of the record before the first one */
  constructor(range: TimeRange, time: string) {
    this.#range = range;
    this.#time = time;
  }

  /** The runs of bytes [from, to) in `block` that are wanted. */
  *sift({ bytes, start }: Block): Generator<readonly [from: number, to: number]> {
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      if (this.#isWanted === null) {
        const before = at === 0 && start.offset === 0 ? EARLIEST : this.#time;
        this.#time = recordTime(bytes, at, before);
      }
      const isWanted = this.#isWanted ?? this.#range.has(this.#time);
      const end = bytes.indexOf(LF, at) + 1;
      this.#isWanted = end === 0 ? isWanted : null;
      if (!isWanted && from < at) yield [from, at];
      at = end === 0 ? bytes.length : end;
      if (!isWanted) from = at;
    }
    if (from < bytes.length) yield [from, bytes.length];
  }
}
