/** Time conditions of a query. Times are compared in the format of records: RFC 3339, all with the same length. */
import { isoTime } from '../../src/lib/clock.ts';
import { recordTime } from '../../src/protocol/log-files/formats.ts';
import type { LogFilter } from '../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../src/protocol/log-files/record.ts';
import type { Block } from './stream-cursor.ts';

/** Time that sorts after all others. */
const LATEST = '~';

/** Test for the time of a record. */
type TimeTest = (time: string) => boolean;

/** Makes the test for the times of a filter. */
export function makeTimeTest({ sinceMs, untilMs }: LogFilter): TimeTest {
  const since = sinceMs === null ? EARLIEST : isoTime(sinceMs);
  const until = untilMs === null ? LATEST : isoTime(untilMs);
  return (time) => time >= since && time <= until;
}

/** Selects the records of one stream by time. The blocks of the stream must be passed in order. */
export class TimeFilter {
  readonly #wants: TimeTest;
  #time: string;
  /** Decision for a record whose end has not arrived yet, or null. */
  #isWanted: boolean | null = null;

  /** Creates the filter. @param time time of the record before the first one */
  constructor(filter: LogFilter, time: string) {
    this.#wants = makeTimeTest(filter);
    this.#time = time;
  }

  /** Yields the selected ranges of bytes [from, to) of `block`. */
  *select({ bytes, start }: Block): Generator<readonly [from: number, to: number]> {
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      if (this.#isWanted === null) {
        const before = at === 0 && start.offset === 0 ? EARLIEST : this.#time;
        this.#time = recordTime(bytes, at, before);
      }
      const isWanted = this.#isWanted ?? this.#wants(this.#time);
      const end = bytes.indexOf(LF, at) + 1;
      this.#isWanted = end === 0 ? isWanted : null;
      if (!isWanted && from < at) yield [from, at];
      at = end === 0 ? bytes.length : end;
      if (!isWanted) from = at;
    }
    if (from < bytes.length) yield [from, bytes.length];
  }
}
