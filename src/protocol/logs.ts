/** Commands to the log worker, and its messages to other threads. */
import type { WireError } from '../lib/errors.ts';
import type { Position, StreamId, StreamName } from './log-files/names.ts';
import type { LogQuery, SearchPage } from './log-files/queries.ts';
import type { Gap } from './log-files/record.ts';
import type { LogSettings } from './log-settings.ts';

export interface StreamSource extends StreamId {
  /**
   * Read end of the stream's FIFO, opened non-blocking. The log worker takes it over and closes it at end of file. That of a
   * refused stream stays with the main thread: Node warns of a thread that closes what another one has opened.
   */
  readonly fd: number;
  readonly settings: LogSettings;
  /** A worker that died captured it before: its next bytes continue a torn record in its file. */
  readonly continues?: boolean;
  /** Output that this worker had read and not written: it comes before the content of the FIFO. */
  readonly held?: HeldOutput | null;
  /** Marker to search for from the first byte on, as {@link LogsApi.expectMarker} does: the FIFO may hold it already. */
  readonly marker?: string | null;
}

/** Position in a log file, with the identity of the file in case it was moved. */
export interface HeldPlace extends Position {
  /** See stat(2). */
  readonly dev: number;
  readonly ino: number;
  /** Descriptor of the file: in an event the log worker's own, otherwise one that the main thread keeps, or null. */
  readonly fd: number | null;
}

/** Item of a stream's write queue; see `workers/logs/capture/stream-writer.ts`. */
export type HeldItem =
  /** Records and parts of records. */
  | { readonly type: 'framed'; readonly bytes: Uint8Array }
  | { readonly type: 'raw'; readonly bytes: Uint8Array }
  | { readonly type: 'end-line' }
  | { readonly type: 'gap'; readonly gap: Gap }
  /** Everything printed before the marker comes before this item. */
  | { readonly type: 'marker-seen' };

/** State of a framer in the middle of a line, by its kind; see `workers/logs/format/framers.ts`. */
export type FramerState =
  | {
      readonly type: 'streaming';
      readonly isAtStart: boolean;
      readonly isContinued: boolean;
      readonly partBytes: number;
      readonly heldCr: boolean;
    }
  | { readonly type: 'buffering'; readonly line: Uint8Array | null; readonly epochMs: number };

/** Output that a log worker has read and not written. With it another worker continues without a gap. */
export interface HeldOutput {
  /** Position of the first framed bytes; later bytes in the file were written after this was sent. Null: no file yet. */
  readonly place: HeldPlace | null;
  readonly items: readonly HeldItem[];
  readonly framer: FramerState;
  /** Bytes that may be the start of a marker. */
  readonly withheld: Uint8Array;
}

/** Messages of the log worker to the main thread, over a MessagePort of their own. */
export type LogEvent = StreamId &
  (
    | {
        /** End of file: every byte of the stream is in its file. */
        readonly type: 'stream-ended';
        /** Bytes read from the stream, without the marker. */
        readonly bytes: number;
        /** Lines written, including an unterminated last one. */
        readonly lines: number;
      }
    /** The marker came: everything printed before it is in the stream's file. */
    | { readonly type: 'marker-seen' }
    /** {@link LogsApi.closeStream} ended it although a process still holds it: that process's further output is lost. */
    | { readonly type: 'stream-held' }
    /** The stream was given up; at least that many bytes of it could not be written. */
    | { readonly type: 'lost'; readonly bytes: number }
    /**
     * Writing fails for now (disk full, folder missing). Sent once; `recovered` follows when it works again. `code` is the
     * system's, such as `ENOSPC`; null if the error has none.
     */
    | { readonly type: 'stalled'; readonly error: string; readonly code: string | null }
    | { readonly type: 'recovered' }
    /** Output that cannot be written now. If the worker dies, the next one must get it. Null: everything is written. */
    | { readonly type: 'held'; readonly held: HeldOutput | null }
    /**
     * Output dropped on a full disk since the previous message; `lines` counts newlines. Sent when writing works again, and
     * every 10 s until then.
     */
    | { readonly type: 'dropped'; readonly lines: number; readonly bytes: number }
    /** The file is complete: it may be compressed, and older ones removed. */
    | { readonly type: 'file-finished'; readonly number: number }
  );

/** Messages of the log worker to the main thread, whose job pool runs the searches of old files. */
export type SearchEvent =
  /** Asks for a job. The main thread passes `port` on to it and reads nothing from it. */
  | {
      readonly type: 'search-wanted';
      readonly id: number;
      readonly page: SearchPage;
      readonly port: import('node:worker_threads').MessagePort;
    }
  /** The page is not wanted any more: its job is cancelled if it still runs. */
  | { readonly type: 'search-over'; readonly id: number };

/** Commands that the log worker answers on a port given by {@link LogsApi.connect}. */
export type LogsReadApi = Pick<LogsApi, 'read'>;

/** Settings that the main thread passes at the start. */
export interface LogsBoot {
  /** Absolute path of the folder of the log files; made when missing. */
  readonly logDir: string;
  /** Longest silence of a page of a search, milliseconds; 10 s by default. */
  readonly pageSilenceMs?: number | undefined;
}

/** Commands of the main thread and of the api worker. Exposed with comlink. */
export interface LogsApi {
  /** Captures streams. Answers each with null or the error; `Internal` for one that is still open. Main only. */
  openStreams(sources: readonly StreamSource[]): Promise<(WireError | null)[]>;
  /**
   * Searches the stream for `marker` from now on; it ends the service's output and is not written to the log. Call it
   * before the guest gets the marker. Null stands for the end of the FIFO's current content, if that has all output.
   * The answer is a `marker-seen` event. Main only.
   */
  expectMarker(service: string, stream: StreamName, marker: string | null): Promise<void>;
  /**
   * Ends a stream that does not end by itself, because a process that outlived its VM holds it: the current content of
   * its FIFO is read, then it ends as at end of file. A stream that is not open is ignored. Main only.
   *
   * @param mayWait false: it ends at once, with the loss of all that cannot be written
   */
  closeStream(service: string, stream: StreamName, mayWait: boolean): Promise<void>;
  /** Removes the log files of a service whose streams have ended. Call it on the worker that serves readers. Main only. */
  removeLogs(service: string): Promise<void>;
  /** Starts a reader, until the port is closed. Merges the records of several streams by their time. Any thread. */
  read(query: LogQuery, port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Answers `read` on `port` as well, so that other threads read without the main thread. Main only. */
  connect(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Tells the log worker at the other end of `port` how far it has written, for readers there. Main only. */
  tellPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Also serves the streams of the log worker at the other end of `port` to readers. Main only. */
  followPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Writes everything in memory and closes all files; then the thread may end. Main only. */
  close(): Promise<void>;
}
