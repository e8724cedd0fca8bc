/** Queries of log files: which records a reader gets, how they come to it, and the pages of a search. */
import type { WireError } from '../../lib/errors.ts';
import type { Position, StreamId, StreamName } from './names.ts';

/** Selects the records that `LogsApi.read` delivers. */
export interface LogQuery {
  /** Names of services, without repetition; empty for all. */
  readonly services: readonly string[];
  readonly streams: readonly StreamName[];
  /** The last n records over all streams together, of those that pass `filter`; null for all. */
  readonly tail: number | null;
  /** Stay and deliver new records; with `filter.untilMs`, until that time has passed. */
  readonly follow: boolean;
  /** Every record by default. */
  readonly filter?: LogFilter;
}

/**
 * Conditions on a record. Its time is the one at its start. A record without a time, written by another program or torn
 * by a crash, has the time of the record before it in its file.
 */
export interface LogFilter {
  /** Milliseconds since the epoch, inclusive; null for no limit. Files last written before are skipped. */
  readonly sinceMs: number | null;
  /** Milliseconds since the epoch, inclusive; null for no limit. */
  readonly untilMs: number | null;
  readonly grep: LogPattern | null;
}

/**
 * JavaScript regular expression with the flag `u`, matched against the text of a record without its head; in JSON,
 * against the decoded `msg`, and against the same without colours, line by line between carriage returns. Invalid UTF-8
 * reads as U+FFFD. The parts of a split line are records of their own, and only the first MiB of a record is matched. Runs
 * in the job pool only.
 */
interface LogPattern {
  readonly source: string;
  readonly ignoreCase: boolean;
}

export const EVERY_RECORD: LogFilter = Object.freeze({ sinceMs: null, untilMs: null, grep: null });

/** Filter of a query with these conditions. Without a condition there is none, and no search runs. */
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
 * Messages of the log worker to a reader, over the MessagePort that came with `read`. The reader controls the flow: when
 * it is done with a chunk, it posts the chunk's ArrayBuffer back, transferred, and nothing else. A reader has
 * {@link READ_WINDOW} buffers for its whole life: they are its memory and its credit.
 */
export type LogReadEvent = FoundEvent | { readonly type: 'end' };

type FoundEvent =
  /**
   * Whole records, each ending in a newline, byte for byte as in the files. The buffer of {@link CHUNK_BYTES} is
   * transferred. A longer record comes in several consecutive chunks.
   */
  | { readonly type: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'error'; readonly error: WireError };

export const READ_WINDOW = 4;
/** Size of each buffer, and so of the largest chunk. */
export const CHUNK_BYTES = 65_536;

/**
 * Input of one page of a search. Each page is one job of the pool, takes about a second and returns how far it got, so
 * that a search holds no thread while its reader takes nothing.
 */
export interface SearchPage {
  /** Absolute path. */
  readonly logDir: string;
  readonly filter: LogFilter;
  readonly state: SearchState;
}

/**
 * Progress of a search. `tail`: it goes backward to find the start of the last matching records. `deliver`: it goes
 * forward and delivers. `done`: every stream is delivered up to its end.
 */
export type SearchState =
  | { readonly phase: 'tail'; readonly tail: TailState }
  | { readonly phase: 'deliver' | 'done'; readonly places: readonly SearchPlace[] };

/** Stream up to the end of its last record of interest. */
export interface StreamEnd {
  readonly id: StreamId;
  readonly end: Position;
}

/** Progress of the delivery of a stream. */
export interface SearchPlace extends StreamEnd {
  /** Next byte to deliver; the start of a record unless `isInRecord`. */
  readonly at: Position;
  /** Time of the previous record, RFC 3339, for records that have none; empty if there is none. */
  readonly time: string;
  /** The part of a record before `at` was delivered: its rest comes before anything else. True for one stream at most. */
  readonly isInRecord: boolean;
}

/** Progress of the search for the last records over all streams. */
export interface TailState {
  readonly missing: number;
  readonly streams: readonly TailPlace[];
}

/** Progress of the search for the last records in a stream. */
interface TailPlace extends StreamEnd {
  /** Start of the oldest record found; `end` while there is none. */
  readonly start: Position;
  /** Time of that record, RFC 3339; empty while there is none. */
  readonly startTime: string;
  /** Everything before this position is still to be searched. */
  readonly at: Position;
  /** Starts at `at` and matches, but is not counted yet: other streams may have newer records. */
  readonly next: FoundRecord | null;
}

export interface FoundRecord {
  readonly start: Position;
  /** RFC 3339. */
  readonly time: string;
}

/**
 * Messages of the log worker to the job. Empty buffers of {@link CHUNK_BYTES}, transferred, are the job's credit; a job that
 * gets none for a while ends its page. `forget`: the files of the stream were removed, and new ones may have their names.
 */
export type SearchOrder = ArrayBuffer | { readonly type: 'forget'; readonly id: StreamId };

/** Messages of the job to the log worker. */
export type SearchReply =
  | FoundEvent
  /** Sign of life: sent at the start and about once a second, unless the pattern is busy with a record. */
  | { readonly type: 'alive' }
  /** End of the page; unused buffers come back. */
  | { readonly type: 'page'; readonly state: SearchState; readonly unused: readonly ArrayBuffer[] };
