/** Commands to the log worker, and its messages to other threads. */
import type { WireError } from '../lib/errors.ts';
import type { Position, StreamId, StreamName } from './log-files/names.ts';
import type { LogQuery, SearchPage } from './log-files/queries.ts';
import type { Gap } from './log-files/record.ts';
import type { LogSettings } from './log-settings.ts';

export interface StreamSource extends StreamId {
  /**
   * Read end of the stream's FIFO, opened non-blocking. The log worker takes it over and closes it at end of file. The
   * descriptor of a refused stream stays with the main thread: Node warns if a thread closes a descriptor that another
   * thread opened.
   */
  readonly fd: number;
  readonly settings: LogSettings;
  /** True if a worker that died captured the stream before: its next bytes continue a torn record in its file. */
  readonly continues?: boolean;
  /** Output that the dead worker had read but not written; it precedes the content of the FIFO. */
  readonly held?: HeldOutput | null;
  /** Marker to look for from the first byte on, like {@link LogsApi.expectMarker}: the FIFO may already contain it. */
  readonly marker?: string | null;
  /** Report lines that have no newline yet as well; false by default. */
  readonly tellsPartialLines?: boolean;
}

/** Position in a log file, with the identity of the file in case it was moved. */
export interface HeldPlace extends Position {
  /** See stat(2). */
  readonly dev: number;
  readonly ino: number;
  /** Descriptor of the file: in an event that of the log worker, otherwise one held by the main thread, or null. */
  readonly fd: number | null;
}

/** Item of a stream's write queue; see `workers/logs/capture/stream-writer.ts`. */
export type HeldItem =
  /** Records or parts of records. */
  | { readonly type: 'framed'; readonly bytes: Uint8Array }
  | { readonly type: 'raw'; readonly bytes: Uint8Array }
  | { readonly type: 'end-line' }
  | { readonly type: 'gap'; readonly gap: Gap }
  /** Marks the point in the output at which the marker was found. */
  | { readonly type: 'marker-seen' };

/** State of a framer in the middle of a line, by kind of framer; see `workers/logs/format/framers.ts`. */
export type FramerState =
  | {
      readonly type: 'streaming';
      readonly isAtStart: boolean;
      readonly isContinued: boolean;
      readonly partBytes: number;
      readonly heldCr: boolean;
    }
  | {
      readonly type: 'buffering';
      readonly line: Uint8Array | null;
      readonly epochMs: number;
      readonly isContinued: boolean;
    };

/** Output that a log worker has read but not written. Another worker can continue from it without a gap. */
export interface HeldOutput {
  /**
   * Position of the first framed bytes; bytes after it in the file were written after this message was sent. Null: no
   * file yet.
   */
  readonly place: HeldPlace | null;
  readonly items: readonly HeldItem[];
  readonly framer: FramerState;
  /** Bytes held back because they may be the beginning of a marker. */
  readonly withheld: Uint8Array;
}

/** Messages of the log worker to the main thread, over a separate MessagePort. */
export type LogEvent = StreamId &
  (
    | {
        /** End of file: all output of the stream is in its files. */
        readonly type: 'stream-ended';
        /** Bytes read from the stream, not counting the marker. */
        readonly bytes: number;
        /** Lines written, including a last line without a newline. */
        readonly lines: number;
      }
    /** The first file is open; what the stream prints begins there. */
    | { readonly type: 'opened'; readonly at: Position }
    /** The marker was found: all output before it is in the stream's files. */
    | { readonly type: 'marker-seen' }
    /** End of a line that has had no newline for a while. Sent again when it grows, at most four times a second. */
    | { readonly type: 'partial-line'; readonly text: string }
    /**
     * {@link LogsApi.closeStream} ended the stream although a process still holds it open: further output of that
     * process is lost.
     */
    | { readonly type: 'stream-held' }
    /** The stream was abandoned; at least this many bytes could not be written. */
    | { readonly type: 'lost'; readonly bytes: number }
    /**
     * Writing fails for now (disk full, folder missing). Sent once; `recovered` follows when writing works again.
     * `code` is the system's error code, such as `ENOSPC`; null if the error has none.
     */
    | { readonly type: 'stalled'; readonly error: string; readonly code: string | null }
    | { readonly type: 'recovered' }
    /**
     * Output that cannot be written at the moment. If the worker dies, its successor must receive it. Null: everything
     * has been written.
     */
    | { readonly type: 'held'; readonly held: HeldOutput | null }
    /**
     * Output dropped on a full disk since the previous message; `lines` counts newlines. Sent when writing works again,
     * and every 10 s until then.
     */
    | { readonly type: 'dropped'; readonly lines: number; readonly bytes: number }
    /** The file is complete: it may be compressed, and older files may be removed. */
    | { readonly type: 'file-finished'; readonly number: number }
  );

/** Messages of the log worker to the main thread, whose job pool searches old files. */
export type SearchEvent =
  /** Requests a job. The main thread passes `port` on to the job and does not read from it. */
  | {
      readonly type: 'search-wanted';
      readonly id: number;
      readonly page: SearchPage;
      readonly port: import('node:worker_threads').MessagePort;
    }
  /** The page is no longer needed: its job is cancelled if it is still running. */
  | { readonly type: 'search-over'; readonly id: number };

/** Commands that the log worker accepts on a port passed to {@link LogsApi.connect}. */
export type LogsReadApi = Pick<LogsApi, 'read'>;

/** Settings that the main thread passes to a new log worker. */
export interface LogsBoot {
  /** Absolute path of the log folder; created if missing. */
  readonly logDir: string;
  /** Maximum time without a message from a page of a search, milliseconds; 10 s by default. */
  readonly pageSilenceMs?: number | undefined;
}

/** Commands of the main thread and of the api worker. Exposed with comlink. */
export interface LogsApi {
  /** Captures streams. Returns null or the error for each; `Internal` for one that is still open. Main thread only. */
  openStreams(sources: readonly StreamSource[]): Promise<(WireError | null)[]>;
  /**
   * Looks for `marker` in the stream from now on. The marker ends the service's output and is not logged. Call this
   * before the guest receives the marker. Null stands for the end of the FIFO's current content, if that includes all
   * output. The answer is a `marker-seen` event. Main thread only.
   */
  expectMarker(service: string, stream: StreamName, marker: string | null): Promise<void>;
  /**
   * Ends a stream that does not end by itself, because a process that outlived its VM holds it open: reads the current
   * content of its FIFO and then ends it as at end of file. Ignores streams that are not open. Main thread only.
   *
   * @param mayWait false ends it at once and loses what cannot be written
   */
  closeStream(service: string, stream: StreamName, mayWait: boolean): Promise<void>;
  /**
   * Removes the log files of a service whose streams have ended. Call it on the worker that serves readers. Main thread
   * only.
   */
  removeLogs(service: string): Promise<void>;
  /** Starts a reader, which ends when the port is closed. Merges the records of several streams by time. Any thread. */
  read(query: LogQuery, port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Also accepts `read` on `port`, so that other threads can read without the main thread. Main thread only. */
  connect(port: import('node:worker_threads').MessagePort): Promise<void>;
  /**
   * Keeps the log worker at the other end of `port` informed of how far this one has written, for readers there. Main
   * thread only.
   */
  tellPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Also serves the streams of the log worker at the other end of `port` to readers. Main thread only. */
  followPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Writes everything in memory and closes all files; then the thread may end. Main thread only. */
  close(): Promise<void>;
}
