/**
 * Log record: the fields that every format can express, and the interface of a format. See `formats.ts` for the table.
 */
import type { StreamId, StreamName } from './names.ts';

/** Line feed, which ends a record in every format. */
export const LF = 10;
/**
 * Maximum length of a head in any format; with a service name of 63 bytes, heads have 110 bytes in text and 142 in
 * JSON.
 */
export const MAX_HEAD_BYTES = 160;
/** Number of bytes at the start of a record that {@link RecordFormat.time} needs. */
export const RECORD_TIME_BYTES = 33;
/** Time that sorts before all others. */
export const EARLIEST = '';

/**
 * Levels: pino's numbers, and the stream that uses the level. WARN is for records that monocore itself writes to any
 * stream.
 */
export const LEVELS = [
  { name: 'INFO', number: 30, stream: 'stdout' },
  { name: 'ERROR', number: 50, stream: 'stderr' },
  { name: 'DEBUG', number: 20, stream: 'console' },
  { name: 'WARN', number: 40, stream: null },
] as const;
export type LevelName = (typeof LEVELS)[number]['name'];

const [stdout, stderr, console, none] = LEVELS;
const LEVEL_OF = { stdout, stderr, console, none } as const;

/** Level of the records of a stream; null for monocore's own records. */
export function levelOf(stream: StreamName | null): (typeof LEVELS)[number] {
  return LEVEL_OF[stream ?? 'none'];
}

/** Stream, with the level of its records where the config chooses another one. */
export interface RecordOrigin extends StreamId {
  readonly level?: LevelName | undefined;
}

/** Level of the records of a stream as the config has it. */
export function levelOfOrigin({ stream, level }: RecordOrigin): (typeof LEVELS)[number] {
  return LEVELS.find(({ name }) => name === level) ?? levelOf(stream);
}

/** Place of a record's text in its line. A line that is not split is neither. */
export interface LinePart {
  /** True if it continues the previous record of the stream. */
  readonly isContinued: boolean;
  /** True if the next record of the stream continues this one. */
  readonly isPartial: boolean;
}

/** Parsed record. A field is null if the record does not contain it. */
export interface LogRecord extends LinePart {
  /** pino's number of the level. */
  readonly level: number | null;
  /** Milliseconds since the epoch. */
  readonly timeMs: number | null;
  readonly service: string | null;
  readonly stream: string | null;
  /** Printed bytes, one character per byte (Node's `latin1`). */
  readonly text: string;
}

export interface Gap {
  /** Number of newlines in the gap. */
  readonly lines: number;
  readonly bytes: number;
  /** Reason, for people. */
  readonly reason: string;
}

/** Message of the record that reports dropped output. */
export function gapText({ lines, bytes, reason }: Gap): string {
  return `monocore: ${lines} lines (${bytes} bytes) were dropped: ${reason}`;
}

export interface RepairOptions {
  readonly id: RecordOrigin;
  /** True if the stream that wrote the file continues: its next bytes belong to the line of the last record. */
  readonly continues: boolean;
  readonly nowMs: number;
}

/** Encoder for the part of a record after its head. It needs the whole line. */
export interface BodyEncoder {
  /** Maximum number of output bytes per byte of the line. */
  readonly maxGrowth: number;
  /** Maximum number of output bytes besides those of the line. */
  readonly maxEndBytes: number;
  /**
   * True if the body is the content of a JSON string followed by `"}\n`, which the WebAssembly framer can write in most
   * cases. {@link BodyEncoder.addObject} then completes it.
   */
  readonly isJsonString: boolean;
  /**
   * Writes the line in [from, to) of `source` and the end of the record into `target` at `at`; returns the end offset.
   */
  put(target: Buffer, at: number, source: Buffer, from: number, to: number, part: LinePart): number;
  /**
   * Adds to a record in `target`, which ends at `end` and has been written as a JSON string, the object that its line in
   * [from, to) may be: one that begins with `{` and is not split. Returns the new end; at most `to - from` plus
   * `maxEndBytes` are added.
   */
  addObject(target: Buffer, end: number, source: Buffer, from: number, to: number): number;
}

/**
 * Format of log records. A record consists of a head (time, level, service) and a body (the line), and ends in a
 * newline. The first byte identifies the format, because a file may mix formats: the config may change between two
 * starts.
 */
export interface RecordFormat {
  /** Characters with which a record can begin. */
  readonly firstBytes: string;
  /** Null if the body is the unmodified line, which can then be written in parts as it arrives. */
  readonly body: BodyEncoder | null;
  /** Head of a record, in ASCII. `isContinued` is for formats that mark records that continue the previous one. */
  head(id: RecordOrigin, epochMs: number, isContinued: boolean): string;
  /** Record of monocore itself about dropped output, with its newline. */
  notice(id: StreamId, gap: Gap, epochMs: number): string;
  /** Encodes a parsed record, without its newline, one character per byte. */
  encode(record: LogRecord): string;
  /** Parses a record without its newline, one character per byte; null if it is not in this format. */
  parse(record: string): LogRecord | null;
  /** True if the record is in this format or can be passed on as if it were. */
  has(record: string): boolean;
  /** Time of the record at `at`: RFC 3339 with milliseconds, in UTC; null if it has none. */
  time(bytes: Buffer, at: number): string | null;
  /** Text of the record in [from, to), without its newline, for searches. For a torn record, the text that is left. */
  text(bytes: Buffer, from: number, to: number): string;
  /** Bytes to append to a file that ends in `tail`, its last record, see `repairTail`. */
  repair(tail: Buffer, isTorn: boolean, options: RepairOptions): string | Buffer;
}
