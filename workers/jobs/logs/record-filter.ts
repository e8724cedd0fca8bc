/** What a query asks for, record by record. */
import { parseJsonRecord, TEXT_HEAD_MAX_BYTES, TEXT_TIME_BYTES } from '../../../src/protocol/log-record.ts';
import { compilePattern, type LogFilter } from '../../../src/protocol/logs.ts';
import type { RecordTest } from '../../log-files/backward-scan.ts';
import { TimeRange } from '../../log-files/time-range.ts';

const BRACE = 0x7b;
const QUOTE = 0x22;
const ZED = 0x5a;
const SPACE = 0x20;
const OPENING = 0x5b;
const CLOSING = 0x5d;
/** `ERROR+ [`. */
const MAX_LEVEL_BYTES = 8;
const MSG_KEY = Buffer.from('"msg":"');

/** Whether a record is wanted. Takes as long as the pattern does. Throws `SyntaxError` for one that is none. */
export function makeRecordTest(filter: LogFilter): RecordTest {
  const range = new TimeRange(filter);
  const pattern = filter.grep && compilePattern(filter.grep);
  return (bytes, from, to, time) => range.has(time) && (pattern === null || pattern.test(recordText(bytes, from, to)));
}

/**
 * The text of the record in bytes [from, to), without what monocore put before it. Of a record in JSON that is cut off
 * it is what there is; all of a line that is no record of monocore's.
 */
export function recordText(bytes: Buffer, from: number, to: number): string {
  if (bytes[from] === BRACE) return jsonRecordText(bytes, from, to);
  return bytes.toString('utf8', textStart(bytes, from, to), to);
}

/** Where the text starts in a record in text format: as `parseTextHead` finds it, without a string for each record. */
function textStart(bytes: Buffer, from: number, to: number): number {
  const levelStart = from + TEXT_TIME_BYTES + 1;
  if (bytes[levelStart - 2] !== ZED || bytes[levelStart - 1] !== SPACE) return from;
  const nameStart = bytes.indexOf(OPENING, levelStart) + 1;
  if (nameStart === 0 || nameStart > levelStart + MAX_LEVEL_BYTES) return from;
  const end = bytes.indexOf(CLOSING, nameStart) + 2;
  return end < 2 || end > Math.min(to, from + TEXT_HEAD_MAX_BYTES) || bytes[end - 1] !== SPACE ? from : end;
}

function jsonRecordText(bytes: Buffer, from: number, to: number): string {
  const start = bytes.indexOf(MSG_KEY, from) + MSG_KEY.length;
  if (start < MSG_KEY.length || start > to) return bytes.toString('utf8', from, to);
  const end = bytes.indexOf(QUOTE, start);
  if (end !== -1 && end < to) {
    const text = bytes.toString('utf8', start, end);
    // Almost every text: it stands there as it is.
    if (!text.includes('\\')) return text;
  }
  const record = bytes.toString('utf8', from, to);
  return parseJsonRecord(record)?.msg ?? cutText(bytes.toString('utf8', start, to));
}

/** The longest escape in JSON, `\u001b`. */
const MAX_ESCAPE_CHARS = 6;

/** What can be read of the inside of a string in JSON whose end is not there: its last escape may be cut in two. */
function cutText(text: string): string {
  for (let end = text.length; end >= Math.max(0, text.length - MAX_ESCAPE_CHARS); end -= 1) {
    try {
      return JSON.parse(`"${text.slice(0, end)}"`) as string;
    } catch {
      // The next shorter one.
    }
  }
  return text;
}
