/** Log record: the parts that every format can express, and the interface of a format. See `formats.ts` for the table. */
import type { StreamId, StreamName } from './names.ts';

/** Line feed: ends a record, in every format. */
export const LF = 10;
/** Longest head that a format may produce; those of a service name of 63 bytes have 104 in text and 142 in JSON. */
export const MAX_HEAD_BYTES = 160;
/** Bytes at the start of a record that {@link RecordFormat.time} needs. */
export const RECORD_TIME_BYTES = 33;
/** Sorts before every time. */
export const EARLIEST = '';

/** Levels: pino's numbers, and the stream that has the level. WARN is monocore's own, about any stream. */
export const LEVELS = [
  { name: 'INFO', number: 30, stream: 'stdout' },
  { name: 'ERROR', number: 50, stream: 'stderr' },
  { name: 'DEBUG', number: 20, stream: 'console' },
  { name: 'WARN', number: 40, stream: null },
] as const;
export type LevelName = (typeof LEVELS)[number]['name'];

const [stdout, stderr, console, none] = LEVELS;
const LEVEL_OF = { stdout, stderr, console, none } as const;

/** Level of the records of a stream; of monocore's own records for null. */
export function levelOf(stream: StreamName | null): (typeof LEVELS)[number] {
  return LEVEL_OF[stream ?? 'none'];
}

/** Parsed record. A field is null if the record does not have it. */
export interface LogRecord {
  /** pino's number. */
  readonly level: number | null;
  /** Milliseconds since the epoch. */
  readonly timeMs: number | null;
  readonly service: string | null;
  readonly stream: string | null;
  /** The printed bytes, one character per byte (Node's `latin1`). */
  readonly text: string;
  /** Continues the previous record of the stream. */
  readonly isContinued: boolean;
  /** The next record of the stream continues this one. */
  readonly isPartial: boolean;
}

export interface Gap {
  /** Newlines in it. */
  readonly lines: number;
  readonly bytes: number;
  /** Reason, for people. */
  readonly reason: string;
}

/** Message of the record that reports a gap. */
export function gapText({ lines, bytes, reason }: Gap): string {
  return `monocore: ${lines} lines (${bytes} bytes) were dropped: ${reason}`;
}

export interface RepairOptions {
  readonly id: StreamId;
  /** The stream that wrote the file goes on: its next bytes continue the line of the last record. */
  readonly continues: boolean;
  readonly nowMs: number;
}

/** Encoder of the rest of a record, after its head. It needs the line as a whole. */
export interface BodyEncoder {
  /** Most bytes that a byte of the line becomes. */
  readonly maxGrowth: number;
  /** Most bytes beside those of the line. */
  readonly maxEndBytes: number;
  /** The body is the inside of a JSON string and `"}\n`: the WebAssembly framer can write most of them. */
  readonly isJsonString: boolean;
  /** Writes the line in [from, to) of `source` with its record's end into `target` at `at`; returns where it ends. */
  put(target: Buffer, at: number, source: Buffer, from: number, to: number, isPartial: boolean): number;
}

/**
 * Format of log records. A record is a head (time, level, service) and a body (the line), and ends in a newline. Each
 * format has first bytes of its own, because files may mix formats: the config may change between two starts.
 */
export interface RecordFormat {
  /** Characters of which each record begins with one. */
  readonly firstBytes: string;
  /** Null if the body is the line as it is: it is then written as it comes, in parts. */
  readonly body: BodyEncoder | null;
  /** Start of a record, in ASCII. `isContinued` is for formats that mark what continues the previous record. */
  head(id: StreamId, epochMs: number, isContinued: boolean): string;
  /** Record of monocore's own about dropped output, with its newline. */
  notice(id: StreamId, gap: Gap, epochMs: number): string;
  /** Encodes a record of another format, without its newline, one character per byte. */
  encode(record: LogRecord): string;
  /** Parses a record without its newline, one character per byte; null if it is not in this format. */
  parse(record: string): LogRecord | null;
  /** True if the record is in this format, or can be passed on as if it were. */
  has(record: string): boolean;
  /** Time of the record at `at`, RFC 3339 with milliseconds, in UTC; null if it has none. */
  time(bytes: Buffer, at: number): string | null;
  /** Text of the record in [from, to), without its newline, for searches. Of a torn record, the text that is there. */
  text(bytes: Buffer, from: number, to: number): string;
  /** Bytes to append to a file that ends in `tail`, its last record, for {@link RepairOptions}; see `repairTail`. */
  repair(tail: Buffer, isTorn: boolean, options: RepairOptions): string | Buffer;
}
