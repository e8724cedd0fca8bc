/**
 * JSON format in the style of pino: `{"level":30,"time":1763884800123,"service":"web","stream":"stdout","msg":"line"}`.
 *
 * A line that is a JSON object is also in `json`, as it was printed: readers have its fields, and nothing is lost of
 * duplicate keys or of numbers that no double holds. `msg` comes first and has the line like that of any other, so that
 * a reader needs to know no second place for it.
 *
 * Every part of a split line but the last has `"partial":true` at its end: the next record continues it. A line that is
 * not valid UTF-8 has U+FFFD in `msg`, `"invalid_utf8":true`, and its bytes as base64 in `raw`. A line is written once
 * it is complete, so a SIGKILL loses the part that had been read. `"torn":true` marks a record that a crash cut off.
 */
import { isUtf8 } from 'node:buffer';
import { isoTime } from '../../lib/clock.ts';
import { body, END_BYTES, OBJECT_KEY_BYTES, PARTIAL_END } from './json-body.ts';
import type { StreamId } from './names.ts';
import { isObjectLine } from './object-lines.ts';
import {
  type Gap,
  gapText,
  type LogRecord,
  levelOf,
  levelOfOrigin,
  type RecordFormat,
  type RecordOrigin,
  type RepairOptions,
} from './record.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
/** Latest time that a Date can hold, ECMA-262 section 21.4.1.1. */
const MAX_TIME_MS = 8.64e15;

/** Start of a record. Service names never need escapes. */
function head(origin: RecordOrigin, epochMs: number): string {
  const { service, stream } = origin;
  return `{"level":${levelOfOrigin(origin).number},"time":${epochMs},"service":"${service}","stream":"${stream}","msg":"`;
}

function notice({ service, stream }: StreamId, gap: Gap, epochMs: number): string {
  const { lines, bytes } = gap;
  const record = { level: levelOf(null).number, time: epochMs, service, stream, msg: gapText(gap) };
  return `${JSON.stringify({ ...record, dropped_lines: lines, dropped_bytes: bytes })}\n`;
}

/** Encodes a record; unknown fields are null. `continued` is set for records that were in text format. */
function encode({ level, timeMs, service, stream, text: line, isContinued, isPartial }: LogRecord): string {
  const bytes = Buffer.from(line, 'latin1');
  const fields = {
    level,
    time: timeMs,
    service,
    stream,
    msg: bytes.toString('utf8'),
    ...(isUtf8(bytes) ? {} : { invalid_utf8: true, raw: bytes.toString('base64') }),
    ...(isContinued ? { continued: true } : {}),
    ...(isPartial ? { partial: true } : {}),
  };
  return Buffer.from(JSON.stringify(fields)).toString('latin1');
}

/** Record in JSON; records written by other programs may have more fields. */
interface JsonRecord {
  readonly level: number;
  readonly time: number;
  readonly service: string;
  readonly stream: string | null;
  readonly msg: string;
  readonly partial?: boolean;
  readonly continued?: boolean;
  readonly invalid_utf8?: boolean;
  readonly raw?: string;
}

function parse(record: string): LogRecord | null {
  if (!record.startsWith('{')) return null;
  const parsed = parseJson(Buffer.from(record, 'latin1').toString('utf8'));
  if (!parsed || Math.abs(parsed.time) > MAX_TIME_MS) return null;
  const { level, time: timeMs, service, stream, msg, invalid_utf8, raw, continued, partial } = parsed;
  const bytes = invalid_utf8 && typeof raw === 'string' ? Buffer.from(raw, 'base64') : Buffer.from(msg);
  const line = bytes.toString('latin1');
  return { level, timeMs, service, stream, text: line, isContinued: continued === true, isPartial: partial === true };
}

/** Parses JSON; undefined if the text is not valid JSON. */
function parseAny(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseJson(record: string): JsonRecord | null {
  const value = parseAny(record);
  const { level, time, service, stream, msg } = (value ?? {}) as Partial<Record<keyof JsonRecord, unknown>>;
  const isRecord =
    typeof level === 'number' &&
    typeof time === 'number' &&
    typeof service === 'string' &&
    (typeof stream === 'string' || stream === null) &&
    typeof msg === 'string';
  return isRecord ? (value as JsonRecord) : null;
}

/** Offset of the digits in `{"level":30,"time":1763884800123,`; there are 13 of them from 2001 to 2286. */
const TIME_START = 19;
const TIME_END = 32;

function time(bytes: Buffer, at: number): string | null {
  if (bytes[at + TIME_START - 1] !== COLON || bytes[at + TIME_END] !== COMMA) return null;
  const epochMs = Number(bytes.toString('latin1', at + TIME_START, at + TIME_END));
  return Number.isSafeInteger(epochMs) ? isoTime(epochMs) : null;
}

const MSG_KEY = Buffer.from('"msg":"');

function text(bytes: Buffer, from: number, to: number): string {
  const start = bytes.indexOf(MSG_KEY, from) + MSG_KEY.length;
  if (start < MSG_KEY.length || start > to) return bytes.toString('utf8', from, to);
  const end = endOfString(bytes, start, to);
  const msg = bytes.toString('utf8', start, end);
  // Almost every text takes this path.
  if (!msg.includes('\\')) return msg;
  return end < to ? (decodeString(msg) ?? msg) : decodeCut(msg);
}

/** Offset of the quote that ends the string whose content begins at `start`; `to` if it is missing. */
function endOfString(bytes: Buffer, start: number, to: number): number {
  let end = bytes.indexOf(QUOTE, start);
  while (end !== -1 && end < to && isEscaped(bytes, start, end)) end = bytes.indexOf(QUOTE, end + 1);
  return end === -1 ? to : Math.min(end, to);
}

/** True if an odd number of backslashes is before `at`. */
function isEscaped(bytes: Buffer, start: number, at: number): boolean {
  let first = at;
  while (first > start && bytes[first - 1] === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}

/** Decodes the content of a JSON string; null if it is not valid. */
function decodeString(inside: string): string | null {
  const decoded = parseAny(`"${inside}"`);
  return typeof decoded === 'string' ? decoded : null;
}

const MAX_ESCAPE_CHARS = 6;

/** Decodes the content of a JSON string whose end is missing; the last escape may be incomplete. */
function decodeCut(inside: string): string {
  for (let end = inside.length; end >= Math.max(0, inside.length - MAX_ESCAPE_CHARS); end -= 1) {
    const decoded = decodeString(inside.slice(0, end));
    if (decoded !== null) return decoded;
  }
  return inside;
}

/** Endings that complete a truncated UTF-8 character, see the table in RFC 3629, section 4. */
const CHARACTER_ENDS = [[], [0x80], [0x80, 0x80], [0x80, 0x80, 0x80], [0xa0, 0x80], [0x90, 0x80, 0x80]];
/** Endings that complete a record that was cut off after a value, in a string, in an escape or in a key. */
const RECORD_ENDS = [
  ...['', '"', '\\"', '0"', '00"', '000"', '0000"'],
  ...tailsOf(',"invalid_utf8":true').slice(1),
  ...tailsOf(',"raw":""').slice(1),
];
const PARTIAL_ENDS = tailsOf(',"partial":true').slice(1);

function repair(tail: Buffer, isTorn: boolean, options: RepairOptions): string | Buffer {
  return isTorn ? closeTorn(tail, options) : endLine(tail, options);
}

function closeTorn(tail: Buffer, options: RepairOptions): string | Buffer {
  const start = head(options.id, options.nowMs);
  if (tail.length < start.length) return `${start.slice(tail.length)}"${tornEnd(options)}`;
  const rest = restOfObject(tail);
  if (rest) return rest;
  for (const characterEnd of CHARACTER_ENDS.map((bytes) => Buffer.from(bytes))) {
    const bytes = Buffer.concat([tail, characterEnd]);
    if (isUtf8(bytes)) return Buffer.concat([characterEnd, Buffer.from(closeText(bytes.toString(), options))]);
  }
  return '\n';
}

/** Number of bytes behind `msg` from which on a record can only have an object: `,"j`. */
const OBJECT_SIGN_BYTES = 3;

/** Rest of a record that was cut off in its object, all of which is in `msg`; null if it was cut off elsewhere. */
function restOfObject(tail: Buffer): Buffer | null {
  const start = tail.indexOf(MSG_KEY) + MSG_KEY.length;
  const end = endOfString(tail, start, tail.length);
  const written = tail.subarray(end + 1);
  const line = decodeString(tail.toString('utf8', start, end));
  if (start < MSG_KEY.length || written.length < OBJECT_SIGN_BYTES || line === null) return null;
  const object = Buffer.from(line);
  const whole = Buffer.concat([OBJECT_KEY_BYTES, object, END_BYTES]);
  if (!isObjectLine(object, 0, object.length)) return null;
  return whole.subarray(0, written.length).equals(written) ? whole.subarray(written.length) : null;
}

function closeText(record: string, options: RepairOptions): string {
  const end = tornEnd(options);
  const closings = [
    // Cut off right before its newline, the record is complete.
    '\n',
    ...RECORD_ENDS.map((ending) => ending + end),
    end.slice(1),
    ...PARTIAL_ENDS.map((ending) => `${ending}}\n`),
  ];
  const closing = closings.find((candidate) => isJson(record + candidate)) ?? '\n';
  return closing + endLine(Buffer.from(record + closing), options);
}

function tornEnd({ continues }: RepairOptions): string {
  return `,"torn":true${continues ? `,${PARTIAL_END}` : '}\n'}`;
}

/** Terminates a line whose rest will never arrive, with an empty record. */
function endLine(tail: Buffer, { id, continues, nowMs }: RepairOptions): string {
  const isPartial = tail.subarray(-PARTIAL_END.length).equals(Buffer.from(PARTIAL_END));
  return isPartial && !continues ? `${head(id, nowMs)}"}\n` : '';
}

function isJson(record: string): boolean {
  return parseAny(record) !== undefined;
}

/** Suffixes of `ending`: `bc` and `c` for `abc`, and the empty one. */
function tailsOf(ending: string): string[] {
  return Array.from({ length: ending.length }, (_, index) => ending.slice(index + 1));
}

export const jsonFormat: RecordFormat = {
  firstBytes: '{',
  body,
  head,
  notice,
  encode,
  parse,
  has: (record) => record.startsWith('{') && isJson(record),
  time,
  text,
  repair,
};
