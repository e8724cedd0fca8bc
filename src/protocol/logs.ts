/** What other threads may ask of the log worker, and what it tells them. */

import type { WireError } from '../lib/wire-error.ts';
import type { StreamName } from './log-files/names.ts';
import type { LogQuery, SearchPage } from './log-files/queries.ts';
import type { Gap } from './log-files/record.ts';
import type { LogSettings } from './log-settings.ts';

/** A stream to capture. */
export interface StreamSource {
  readonly service: string;
  readonly stream: StreamName;
  /**
   * Read end of the stream's FIFO, opened non-blocking by the main thread. From the call on it belongs to the log
   * worker, which closes it at end of file.
   */
  readonly fd: number;
  readonly settings: LogSettings;
  /** It was captured before, by a worker that died: what was cut off in its file goes on with its next bytes. */
  readonly continues?: boolean;
  /** What that worker had read and not written: it comes before what is in the FIFO. */
  readonly held?: HeldOutput | null;
  /** Looked for from the first byte on, as by {@link LogsApi.expectMarker}: it may be in the FIFO already. */
  readonly marker?: string | null;
}

/** A place in a log file, and how that is found wherever it was moved to. */
export interface HeldPlace {
  readonly number: number;
  readonly offset: number;
  /** See stat(2). */
  readonly dev: number;
  readonly ino: number;
  /** A descriptor of the file: in an event the log worker's own, otherwise one that the main thread keeps, or null. */
  readonly fd: number | null;
}

/** Something that is to be written; see `workers/logs/capture/stream-writer.ts`. */
export type HeldItem =
  /** Records and parts of records. */
  | { readonly type: 'framed'; readonly bytes: Uint8Array }
  /** Bytes of the stream. */
  | { readonly type: 'raw'; readonly bytes: Uint8Array }
  | { readonly type: 'end-line' }
  | { readonly type: 'gap'; readonly gap: Gap }
  /** What was printed before the marker is all that comes before this. */
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

/** What a log worker has read of a stream and not written. With it another one goes on as if nothing had happened. */
export interface HeldOutput {
  /** Where the first framed bytes belong. What the file has behind it, the worker wrote later. Null: nowhere yet. */
  readonly place: HeldPlace | null;
  readonly items: readonly HeldItem[];
  readonly framer: FramerState;
  /** The start of a marker, or of something that looks like it. */
  readonly withheld: Uint8Array;
}

/** How the capture of a stream ended. */
export interface StreamEnd {
  readonly service: string;
  readonly stream: StreamName;
  /** Bytes that were read from the stream, the marker excluded. */
  readonly bytes: number;
  /** Lines that were written, an unterminated last one included. */
  readonly lines: number;
}

/** Messages of the log worker to the main thread, over a MessagePort of their own. */
export type LogEvent =
  /** End of file: every byte of the stream is in its file. */
  | ({ readonly type: 'stream-ended' } & StreamEnd)
  /** The marker came: everything that was printed before it is in the stream's file. */
  | { readonly type: 'marker-seen'; readonly service: string; readonly stream: StreamName }
  /** It was ended by {@link LogsApi.closeStream} though a process still holds it: what that prints now is lost. */
  | { readonly type: 'stream-held'; readonly service: string; readonly stream: StreamName }
  /** Writing fails for now (disk full, folder gone); said once per spell. `recovered` ends the spell. */
  | {
      readonly type: 'stalled';
      readonly service: string;
      readonly stream: StreamName;
      readonly error: string;
      /** The system's code, `ENOSPC` for example; null where the error has none. */
      readonly code: string | null;
    }
  | { readonly type: 'recovered'; readonly service: string; readonly stream: StreamName }
  /**
   * The worker has read this and cannot write it, or dies before it can: should it die, the next one is to be given it.
   * Takes the place of what was said before; null: it is written.
   */
  | { readonly type: 'held'; readonly service: string; readonly stream: StreamName; readonly held: HeldOutput | null }
  /**
   * The disk was full, and this much was read and dropped since it was said last; `lines` counts newlines. Said at the
   * end of a spell, and every 10 s in a long one.
   */
  | {
      readonly type: 'dropped';
      readonly service: string;
      readonly stream: StreamName;
      readonly lines: number;
      readonly bytes: number;
    }
  /** Nothing is written to that file any more: it may be compressed, and older ones removed. */
  | { readonly type: 'file-finished'; readonly service: string; readonly stream: StreamName; readonly number: number };

/**
 * Searches of old files run in the pool of jobs, which is the main thread's. These messages of the log worker to the
 * main thread come beside its {@link LogEvent}s.
 */
export type SearchEvent =
  /** `port` is for the job alone: the main thread hands it on and sees nothing of what goes over it. */
  | {
      readonly type: 'search-wanted';
      readonly id: number;
      readonly page: SearchPage;
      readonly port: import('node:worker_threads').MessagePort;
    }
  /** Nobody waits for the page any more: its job is called off if it still runs. */
  | { readonly type: 'search-over'; readonly id: number };

/** What the log worker answers on a port that it was given with {@link LogsApi.connect}. */
export type LogsReadApi = Pick<LogsApi, 'read'>;

/** Commands of the main thread and of the api worker. Exposed with comlink. */
export interface LogsApi {
  /**
   * Starts to capture streams; one of a name that is still open is an `Internal` error. Answers for each why it cannot be
   * captured, or null. Main only.
   */
  openStreams(sources: readonly StreamSource[]): Promise<(WireError | null)[]>;
  /**
   * Looks for `marker` in the stream from now on; it ends what the service printed and is not written to the log.
   * Must be called before the guest is told the marker. Null stands for the end of what is in the FIFO now, where
   * everything that was printed is in it. Answers with a `marker-seen` event. Main only.
   */
  expectMarker(service: string, stream: StreamName, marker: string | null): Promise<void>;
  /**
   * Ends a stream that does not end by itself, because a process that outlived its VM holds it: what its FIFO holds now
   * is read, then it is as at end of file. One that is not open is ignored. Main only.
   */
  closeStream(service: string, stream: StreamName): Promise<void>;
  /** Removes the log files of a service whose streams have ended; asked of the worker that serves readers. Main only. */
  removeLogs(service: string): Promise<void>;
  /**
   * Starts a reader. Records of several streams are merged by their time. The reader ends when the port is closed.
   * Any thread.
   */
  read(query: LogQuery, port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Answers `read` on `port`, too: a thread that reads needs not go through the main thread. Main only. */
  connect(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Tells the log worker at the other end how far it has written, for readers there. Main only. */
  tellPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Serves the streams of the log worker at the other end to readers, too. Main only. */
  followPeer(port: import('node:worker_threads').MessagePort): Promise<void>;
  /** Flushes what is in memory and closes everything; the thread may be ended then. Main only. */
  close(): Promise<void>;
}
