/** Records in JSON as lines of text, in the form that records in text format have. */
import { isoTime } from '../../lib/clock.ts';
import { type JsonRecord, parseJsonRecord } from '../../protocol/log-record.ts';

const LEVELS = new Map([
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
]);
/** The largest time that a Date can be, ECMA-262 section 21.4.1.1. */
const MAX_TIME_MS = 8.64e15;

/** Renders records in order. */
export class TextLines {
  /** Streams whose last record is to be continued by the next one. */
  readonly #partial = new Set<string>();

  /** The line of a record; what is no record in JSON comes back as it is. Both are binary strings. */
  render(record: string): string {
    if (!record.startsWith('{')) return record;
    const parsed = parseJsonRecord(Buffer.from(record, 'latin1').toString('utf8'));
    return parsed && Math.abs(parsed.time) <= MAX_TIME_MS ? this.#line(parsed) : record;
  }

  #line(record: JsonRecord): string {
    const { level, time, service, stream, partial } = record;
    const key = `${service}.${stream}`;
    const plus = this.#partial.delete(key) ? '+' : '';
    if (partial) this.#partial.add(key);
    const head = `${isoTime(time)} ${LEVELS.get(level) ?? level}${plus} [${service}] `;
    return Buffer.from(head).toString('latin1') + textOf(record);
  }
}

/** What was printed, byte for byte. A newline is none of it: a record of another program may have one. */
function textOf({ msg, invalid_utf8, raw }: JsonRecord): string {
  const bytes = invalid_utf8 && typeof raw === 'string' ? Buffer.from(raw, 'base64') : Buffer.from(msg);
  return bytes.toString('latin1').replaceAll('\n', '\\n');
}
