/** The times that a query asks for. */
import { isoTime } from '../../src/lib/clock.ts';
import type { LogFilter } from '../../src/protocol/log-files/queries.ts';
import { EARLIEST } from '../../src/protocol/log-files/record.ts';

/** Sorts behind every time. */
const LATEST = '~';

/** Compares times as they stand in records: RFC 3339, all of the same length. */
export class TimeRange {
  readonly #since: string;
  readonly #until: string;

  constructor({ sinceMs, untilMs }: LogFilter) {
    this.#since = sinceMs === null ? EARLIEST : isoTime(sinceMs);
    this.#until = untilMs === null ? LATEST : isoTime(untilMs);
  }

  has(time: string): boolean {
    return time >= this.#since && time <= this.#until;
  }
}
