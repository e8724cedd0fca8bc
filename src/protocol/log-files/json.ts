/**
 * JSON format in the style of pino: `{"level":30,"time":1763884800123,"service":"web","stream":"stdout","msg":"line"}`.
 *
 * Every part of a split line but the last has `"partial":true` at its end: the next record continues it. A line that is
 * not valid UTF-8 has U+FFFD in `msg`, `"invalid_utf8":true`, and its bytes as base64 in `raw`. A line is written once
 * it is complete, so a SIGKILL loses the part that had been read. `"torn":true` marks a record that a crash cut off.
 */
import { isUtf8 } from 'node:buffer';
import { isoTime } from '../../lib/clock.ts';
import type { StreamId } from './names.ts';
import {
  type BodyEncoder,
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

// Properties of the bytes in a line, as flags that can be combined.
const NEEDS_ESCAPE = 1;
const NOT_ASCII = 2;

const KINDS = new Uint8Array(256);
KINDS.fill(NEEDS_ESCAPE, 0, 0x20);
KINDS[QUOTE] = NEEDS_ESCAPE;
KINDS[0x5c] = NEEDS_ESCAPE;
KINDS.fill(NOT_ASCII, 0x80);

const ESCAPES: readonly (Buffer | null)[] = Array.from({ length: 256 }, (_, byte) =>
  KINDS[byte] === NEEDS_ESCAPE ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1), 'latin1') : null,
);

const PARTIAL_END = '"partial":true}\n';
const END_BYTES = Buffer.from('}\n');
const PARTIAL_END_BYTES = Buffer.from(`,${PARTIAL_END}`);

const body: BodyEncoder = {
  // `\u001f`, or U+FFFD plus base64 for a byte that is not UTF-8.
  maxGrowth: 8,
  maxEndBytes: 64,
  isJsonString: true,
  put(target, at, source, from, to, isPartial) {
    const kinds = kindsOf(source, from, to);
    const isText = (kinds & NOT_ASCII) === 0 || isUtf8(source.subarray(from, to));
    let end = at;
    if (!isText) {
      const msg = JSON.stringify(source.toString('utf8', from, to)).slice(1);
      end += target.write(`${msg},"invalid_utf8":true,"raw":"${source.toString('base64', from, to)}"`, at);
    } else {
      if ((kinds & NEEDS_ESCAPE) !== 0) end = putEscaped(target, at, source, from, to);
      else end = copy(target, at, source, from, to);
      target[end] = QUOTE;
      end += 1;
    }
    const recordEnd = isPartial ? PARTIAL_END_BYTES : END_BYTES;
    target.set(recordEnd, end);
    return end + recordEnd.length;
  },
};

/** Copies short runs; `copyWithin` is twice as fast as `Buffer.copy` for them. */
function copy(target: Buffer, at: number, source: Buffer, from: number, to: number): number {
  if (source === target) target.copyWithin(at, from, to);
  else source.copy(target, at, from, to);
  return at + (to - from);
}

function kindsOf(bytes: Buffer, from: number, to: number): number {
  let kinds = 0;
  for (let at = from; at < to; at += 1) kinds |= KINDS[bytes[at]!]!;
  return kinds;
}

/** Writes bytes [from, to), which are UTF-8, as the content of a JSON string, RFC 8259; returns the end offset. */
function putEscaped(target: Buffer, out: number, bytes: Buffer, from: number, to: number): number {
  let end = out;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    const escaped = ESCAPES[byte];
    if (escaped) {
      target.set(escaped, end);
      end += escaped.length;
    } else {
      target[end] = byte;
      end += 1;
    }
  }
  return end;
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
  const end = bytes.indexOf(QUOTE, start);
  if (end !== -1 && end < to) {
    const msg = bytes.toString('utf8', start, end);
    // Almost every text takes this path.
    if (!msg.includes('\\')) return msg;
  }
  return parseJson(bytes.toString('utf8', from, to))?.msg ?? decodeCut(bytes.toString('utf8', start, to));
}

const MAX_ESCAPE_CHARS = 6;

/** Decodes the content of a JSON string whose end is missing; the last escape may be incomplete. */
function decodeCut(inside: string): string {
  for (let end = inside.length; end >= Math.max(0, inside.length - MAX_ESCAPE_CHARS); end -= 1) {
    const decoded = parseAny(`"${inside.slice(0, end)}"`);
    if (typeof decoded === 'string') return decoded;
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
  for (const characterEnd of CHARACTER_ENDS.map((bytes) => Buffer.from(bytes))) {
    const bytes = Buffer.concat([tail, characterEnd]);
    if (isUtf8(bytes)) return Buffer.concat([characterEnd, Buffer.from(closeText(bytes.toString(), options))]);
  }
  return '\n';
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
