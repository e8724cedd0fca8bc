/** What a record of a log file is made of, for those who read it; see `workers/logs/format/framer.ts` for the formats. */
import { isoTime } from '../lib/clock.ts';

/** Line feed: ends a record. */
export const LF = 10;
/** Length of the time at the start of a record in text format. */
export const TEXT_TIME_BYTES = 24;
/** No head of a record in text format is longer: time, level, a service's name of 63 characters. */
export const TEXT_HEAD_MAX_BYTES = 104;

const JSON_TIME = /^\{"level":\d+,"time":(\d{1,15}),/;
const TEXT_HEAD = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (INFO|ERROR|DEBUG|WARN)(\+?) \[([^\]]*)\] /;

/** When a record was written, RFC 3339; any text for what is no record. */
export function recordTimeOf(record: string): string {
  const [, epochMs] = JSON_TIME.exec(record) ?? [];
  return epochMs === undefined ? record.slice(0, TEXT_TIME_BYTES) : isoTime(Number(epochMs));
}

/** Levels of records in text format: of stdout, stderr, the console, and of monocore itself. */
export type TextLevel = 'INFO' | 'ERROR' | 'DEBUG' | 'WARN';

/** What stands before the text of a record in text format. */
export interface TextHead {
  /** RFC 3339. */
  readonly time: string;
  readonly level: TextLevel;
  /** It continues the record before it. */
  readonly isContinued: boolean;
  readonly service: string;
  /** Where the text starts. */
  readonly length: number;
}

/** The head of a record in text format, or null for any other line. Its first {@link TEXT_HEAD_MAX_BYTES} suffice. */
export function parseTextHead(record: string): TextHead | null {
  const match = TEXT_HEAD.exec(record);
  if (!match) return null;
  const [head, time, level, plus, service] = match as unknown as [string, string, TextLevel, string, string];
  return { time, level, isContinued: plus === '+', service, length: head.length };
}

/** A record in JSON; those of other programs may have more. */
export interface JsonRecord {
  readonly level: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly service: string;
  /** Null where it is not known. */
  readonly stream: string | null;
  readonly msg: string;
  /** The next record of the stream continues it. */
  readonly partial?: boolean;
  readonly invalid_utf8?: boolean;
  /** Base64 of the bytes of a line that is no UTF-8. */
  readonly raw?: string;
}

/** The record in JSON that `record` is, or null for any other text. */
export function parseJsonRecord(record: string): JsonRecord | null {
  if (!record.startsWith('{')) return null;
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch {
    return null;
  }
  const { level, time, service, stream, msg } = value as Partial<Record<keyof JsonRecord, unknown>>;
  const isRecord =
    typeof level === 'number' &&
    typeof time === 'number' &&
    typeof service === 'string' &&
    (typeof stream === 'string' || stream === null) &&
    typeof msg === 'string';
  return isRecord ? (value as JsonRecord) : null;
}
