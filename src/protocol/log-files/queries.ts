/** Queries of log files: which records a reader receives, how they are delivered, and the pages of a search. */
import type { WireError } from '../../lib/errors.ts';
import type { Position, StreamId, StreamName } from './names.ts';

/** Selects the records that `LogsApi.read` delivers. */
export interface LogQuery {
  /** Names of services without duplicates; empty for all services. */
  readonly services: readonly string[];
  readonly streams: readonly StreamName[];
  /** Deliver only the last n records that pass `filter`, counted over all streams together; null for all. */
  readonly tail: number | null;
  /** Continue with new records; if `filter.untilMs` is set, until that time has passed. */
  readonly follow: boolean;
  /** By default, every record matches. */
  readonly filter?: LogFilter;
  /**
   * Positions of records before which nothing is delivered, by stream; for one service, and not for `tail` with `filter`.
   * Unlike times they are in order even if the host's clock is set back.
   */
  readonly starts?: StreamStarts;
}

/** Position of a record in each stream of a service, as far as it is known. */
export type StreamStarts = { readonly [Stream in StreamName]?: Position };

/**
 * Conditions on a record. Its time is the one in its head. A record without a time, written by another program or torn
 * by a crash, has the time of the preceding record in its file.
 */
export interface LogFilter {
  /** Milliseconds since the epoch, inclusive; null for no limit. Files last written before that time are skipped. */
  readonly sinceMs: number | null;
  /** Milliseconds since the epoch, inclusive; null for no limit. */
  readonly untilMs: number | null;
  readonly grep: LogPattern | null;
}

/**
 * JavaScript regular expression with the flag `u`, matched against the text of a record without its head. In JSON it is
 * matched against the decoded `msg`, and against the same text without colours, split at carriage returns. Invalid
 * UTF-8 is read as U+FFFD. The parts of a split line are separate records, and only the first MiB of a record is
 * matched. Runs only in the job pool.
 */
export interface LogPattern {
  readonly source: string;
  readonly ignoreCase: boolean;
}

export const EVERY_RECORD: LogFilter = Object.freeze({ sinceMs: null, untilMs: null, grep: null });

/** Builds the filter of a query from these conditions. Without a condition there is no filter, and no search runs. */
export function filterOf(
  since: number | undefined,
  until: number | undefined,
  grep: string | undefined,
  ignoreCase: boolean,
): Pick<LogQuery, 'filter'> {
  if (since === undefined && until === undefined && grep === undefined) return {};
  const pattern = grep === undefined ? null : { source: grep, ignoreCase };
  return { filter: { sinceMs: since ?? null, untilMs: until ?? null, grep: pattern } };
}

/** Compiles a pattern. Any thread may compile it; only a job may run it. Throws `SyntaxError`. */
export function compilePattern({ source, ignoreCase }: LogPattern): RegExp {
  return new RegExp(source, ignoreCase ? 'iu' : 'u');
}

/**
 * Messages of the log worker to a reader, over the MessagePort passed with `read`. The reader controls the flow: when
 * it has processed a chunk, it posts the chunk's ArrayBuffer back, transferred, and nothing else. A reader gets {@link
 * READ_WINDOW} buffers in total, which limit both its memory and the number of chunks in flight.
 */
export type LogReadEvent = FoundEvent | { readonly type: 'end' };

type FoundEvent =
  /**
   * Complete records, each ending in a newline, byte for byte as in the files. The buffer of {@link CHUNK_BYTES} is
   * transferred. A longer record is split into several consecutive chunks.
   */
  | { readonly type: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'error'; readonly error: WireError };

export const READ_WINDOW = 4;
/** Size of each buffer, and thus of the largest chunk. */
export const CHUNK_BYTES = 65_536;

/**
 * Input of one page of a search. Each page is one job of the pool. It takes about a second and returns its progress, so
 * that a search occupies no thread while its reader is not reading.
 */
export interface SearchPage {
  /** Absolute path. */
  readonly logDir: string;
  readonly filter: LogFilter;
  readonly state: SearchState;
}

/**
 * Progress of a search. `tail`: it scans backward to find the first of the last matching records. `deliver`: it scans
 * forward and delivers records. `done`: every stream has been delivered to its end.
 */
export type SearchState =
  | { readonly phase: 'tail'; readonly tail: TailState }
  | { readonly phase: 'deliver' | 'done'; readonly places: readonly SearchPlace[] };

/** Stream with the end of its last relevant record. */
export interface StreamEnd {
  readonly id: StreamId;
  readonly end: Position;
}

/** Progress of the delivery of a stream. */
export interface SearchPlace extends StreamEnd {
  /** Next byte to deliver; the start of a record unless `isInRecord`. */
  readonly at: Position;
  /** RFC 3339 time of the previous record, for records without a time; empty if there is none. */
  readonly time: string;
  /**
   * True if part of a record before `at` has been delivered; its rest must come before anything else. True for at most
   * one stream.
   */
  readonly isInRecord: boolean;
}

/** Progress of the search for the last records across all streams. */
export interface TailState {
  readonly missing: number;
  readonly streams: readonly TailPlace[];
}

/** Progress of the search for the last records in a stream. */
interface TailPlace extends StreamEnd {
  /** Start of the oldest record found; equals `end` if none has been found. */
  readonly start: Position;
  /** RFC 3339 time of that record; empty if none has been found. */
  readonly startTime: string;
  /** Everything before this position has yet to be searched. */
  readonly at: Position;
  /** Matching record at `at` that is not counted yet, because other streams may have newer records. */
  readonly next: FoundRecord | null;
}

export interface FoundRecord {
  readonly start: Position;
  /** RFC 3339. */
  readonly time: string;
}

/**
 * Messages of the log worker to the job. Empty buffers of {@link CHUNK_BYTES}, transferred, allow the job to send that
 * many chunks; a job that receives none for a while ends its page. `forget`: the files of the stream were removed, and
 * new files may have the same names.
 */
export type SearchOrder = ArrayBuffer | { readonly type: 'forget'; readonly id: StreamId };

/** Messages of the job to the log worker. */
export type SearchReply =
  | FoundEvent
  /** Keep-alive message: sent at the start and about once a second, unless the pattern is busy with a record. */
  | { readonly type: 'alive' }
  /** End of the page; returns unused buffers. */
  | { readonly type: 'page'; readonly state: SearchState; readonly unused: readonly ArrayBuffer[] };
