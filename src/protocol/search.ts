/**
 * A search of log files, cut into pages: each is one job of the pool, takes about a second and says how far it came, so
 * that a search holds no thread while nobody takes what it found.
 */

import type { WireError } from '../lib/wire-error.ts';
import type { Position, StreamId } from './log-files.ts';
import type { LogFilter } from './logs.ts';

/** What a page is given. */
export interface SearchPage {
  /** Absolute path. */
  readonly logDir: string;
  readonly filter: LogFilter;
  readonly state: SearchState;
}

/**
 * How far a search is. `tail`: it goes back to find where the last matching records start; `deliver`: it goes forward
 * and delivers; `done`: every stream has been delivered up to its end.
 */
export type SearchState =
  | { readonly phase: 'tail'; readonly tail: TailState }
  | { readonly phase: 'deliver' | 'done'; readonly places: readonly SearchPlace[] };

/** A stream that is delivered. */
export interface SearchPlace {
  readonly id: StreamId;
  /** What comes next; the start of a record unless `isInRecord`. */
  readonly at: Position;
  /** Where to stop. */
  readonly end: Position;
  /** Time of the record before, RFC 3339, for records that have none; empty when there is none. */
  readonly time: string;
  /** The part of a record before `at` was delivered: the rest follows before anything else. One stream at most. */
  readonly isInRecord: boolean;
}

/** A search for the last records, over all streams together. */
export interface TailState {
  /** Records that are still to be found. */
  readonly missing: number;
  readonly streams: readonly TailPlace[];
}

/** A stream in which the last records are looked for. */
export interface TailPlace {
  readonly id: StreamId;
  readonly end: Position;
  /** Where the oldest record that counts starts; `end` as long as none does. */
  readonly start: Position;
  /** Time of that record, RFC 3339; empty as long as none counts. */
  readonly startTime: string;
  /** What is before it has not been looked at. */
  readonly at: Position;
  /** Starts at `at` and matches, but does not count yet: other streams may have newer ones. */
  readonly next: FoundRecord | null;
}

/** A record that was found. */
export interface FoundRecord {
  readonly start: Position;
  /** RFC 3339. */
  readonly time: string;
}

/**
 * Messages of the job to the log worker. The log worker posts empty buffers of `CHUNK_BYTES`, transferred: they are the
 * job's credit. A job that gets none for a while ends its page.
 */
export type SearchReply =
  /** As in `LogReadEvent`. */
  | { readonly type: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** It works. Comes at the start and about once a second, unless a record keeps the pattern busy. */
  | { readonly type: 'alive' }
  /** The page is over; the buffers that it did not use come back. */
  | { readonly type: 'page'; readonly state: SearchState; readonly unused: readonly ArrayBuffer[] }
  | { readonly type: 'error'; readonly error: WireError };
