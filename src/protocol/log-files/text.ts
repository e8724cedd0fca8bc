/**
 * Text format, same as in the Rust version: `2026-11-23T08:00:00.123Z INFO [web] line`.
 *
 * Every part of a split line except the first has a `+` after its level (`INFO+`), which means that it continues the
 * previous record. The first part has no mark, because a line is written as it arrives, before its length is known.
 * Bytes are not decoded.
 */
import { isoTime } from '../../lib/clock.ts';
import type { StreamId } from './names.ts';
import {
  type Gap,
  gapText,
  LEVELS,
  type LogRecord,
  levelOf,
  levelOfOrigin,
  type RecordFormat,
  type RecordOrigin,
} from './record.ts';

/** Head of a text record: time, level, continuation mark, service and `.stderr` where the level does not say so. */
export const TEXT_HEAD =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (INFO|ERROR|DEBUG|WARN)(\+?) \[([^\]]*?)(\.stderr)?\] /;
const TIME_BYTES = 24;
/** Mark behind the name of the service where the level is not that of the stream. No name has a dot. */
const STDERR_MARK = '.stderr';
/** Longest head: time, `ERROR+`, a service name of 63 characters, and the mark. */
const MAX_HEAD_BYTES = 104 + STDERR_MARK.length;
/** Length of `ERROR+ [`. */
const MAX_LEVEL_BYTES = 8;

const ZED = 0x5a;
const SPACE = 0x20;
const OPENING = 0x5b;
const CLOSING = 0x5d;

let cachedMs = Number.NaN;
let cachedTime = '';

/** Result of {@link isoTime}, computed once per millisecond for all streams of the thread. */
function timeText(epochMs: number): string {
  if (epochMs !== cachedMs) {
    cachedTime = isoTime(epochMs);
    cachedMs = epochMs;
  }
  return cachedTime;
}

function head(origin: RecordOrigin, epochMs: number, isContinued: boolean): string {
  const level = levelOfOrigin(origin);
  const mark = markOf(level.number, origin.stream);
  return `${timeText(epochMs)} ${level.name}${isContinued ? '+' : ''} [${origin.service}${mark}] `;
}

/** `.stderr` for a record of stderr that has another level than ERROR. */
function markOf(level: number | null, stream: string | null): string {
  return stream === 'stderr' && level !== levelOf('stderr').number ? STDERR_MARK : '';
}

function notice({ service }: StreamId, gap: Gap, epochMs: number): string {
  return `${timeText(epochMs)} ${levelOf(null).name} [${service}] ${gapText(gap)}\n`;
}

/**
 * Encodes a record. A newline in the text, from a JSON record of another program, is made visible, because it would end
 * the record.
 */
function encode({ level, timeMs, service, stream, text, isContinued }: LogRecord): string {
  const line = text.replaceAll('\n', '\\n');
  if (timeMs === null) return line;
  const name = LEVELS.find(({ number }) => number === level)?.name ?? level;
  const start = `${isoTime(timeMs)} ${name}${isContinued ? '+' : ''} [${service}${markOf(level, stream)}] `;
  return Buffer.from(start).toString('latin1') + line;
}

function parse(record: string): LogRecord | null {
  const match = TEXT_HEAD.exec(record);
  if (!match) return null;
  const [start, time, name, plus, service, mark] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  const level = LEVELS.find((candidate) => candidate.name === name)!;
  const epochMs = Date.parse(time);
  return {
    level: level.number,
    timeMs: Number.isNaN(epochMs) ? null : epochMs,
    service,
    stream: mark === undefined ? level.stream : 'stderr',
    text: record.slice(start.length),
    isContinued: plus === '+',
    isPartial: false,
  };
}

function time(bytes: Buffer, at: number): string | null {
  const isTime = bytes[at + 4] === 0x2d && bytes[at + 10] === 0x54 && bytes[at + TIME_BYTES - 1] === ZED;
  return isTime ? bytes.toString('latin1', at, at + TIME_BYTES) : null;
}

function text(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', textStart(bytes, from, to), to);
}

/**
 * Start of the text in a record. Agrees with {@link TEXT_HEAD} but creates no string, because searches call it for each
 * record.
 */
function textStart(bytes: Buffer, from: number, to: number): number {
  const levelStart = from + TIME_BYTES + 1;
  if (bytes[levelStart - 2] !== ZED || bytes[levelStart - 1] !== SPACE) return from;
  const nameStart = bytes.indexOf(OPENING, levelStart) + 1;
  if (nameStart === 0 || nameStart > levelStart + MAX_LEVEL_BYTES) return from;
  const end = bytes.indexOf(CLOSING, nameStart) + 2;
  return end < 2 || end > Math.min(to, from + MAX_HEAD_BYTES) || bytes[end - 1] !== SPACE ? from : end;
}

/** Completes a truncated head; a torn line only needs its newline. */
function repair(
  tail: Buffer,
  isTorn: boolean,
  { id, nowMs }: { readonly id: RecordOrigin; readonly nowMs: number },
): string {
  if (!isTorn) return '';
  for (const isContinued of [false, true]) {
    const whole = head(id, nowMs, isContinued);
    const isInHead =
      tail.length < whole.length && maskDigits(whole.slice(0, tail.length)) === maskDigits(tail.toString('latin1'));
    if (isInHead) return `${whole.slice(tail.length)}\n`;
  }
  return '\n';
}

function maskDigits(text: string): string {
  return text.replaceAll(/\d/g, '0');
}

export const textFormat: RecordFormat = {
  firstBytes: '0123456789',
  body: null,
  head,
  notice,
  encode,
  parse,
  has: (record) => TEXT_HEAD.test(record),
  time,
  text,
  repair,
};
