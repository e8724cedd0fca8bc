/**
 * The HTTP interface of the daemon, over its unix socket. JSON in and out; an error answers with a
 * {@link WireError} in `{"error": …}`.
 *
 * | route | request | answer |
 * |---|---|---|
 * | `GET /v1/daemon` | | `DaemonStatus` |
 * | `POST /v1/daemon/stop` | `DaemonStopRequest` | `{}` |
 * | `GET /v1/services?name=…&name=…&group=…` | | `ServicesReply` |
 * | `POST /v1/services/start` | `StartRequest` | `CommandReply` |
 * | `POST /v1/services/plan` | `StartRequest` | `PlanReply` |
 * | `POST /v1/services/stop`, `/restart`, `/remove` | `StopRequest` | `CommandReply` |
 * | `GET /v1/images` | | `ImagesReply` |
 * | `POST /v1/images/pull`, `/load` | `PullRequest`, `LoadRequest` | newline-delimited JSON: an `ImageReply` a line |
 * | `POST /v1/images/remove` | `RemoveImagesRequest` | `RemovedImages` |
 * | `POST /v1/images/prune` | | `RemovedImages` |
 * | `GET /v1/events` | | newline-delimited JSON: a `ControlEvent` for each service known, then each change |
 * | `GET /v1/logs?name=…&stream=stdout&stream=stderr&tail=100&follow=true&since=…&until=…&grep=…&ignore_case=true` | | text: the records, as in the files |
 *
 * `since` and `until` are RFC 3339 with a zone, or milliseconds since the epoch, both included. `grep` is a JavaScript
 * regular expression, see `LogPattern`; `tail` counts the records that match. With `follow` they apply to new records as
 * well, and the answer ends when `until` has passed.
 *
 * Closing the connection cancels a pull or load. An error before the first line is an ordinary error answer; a later one is
 * the last line.
 *
 * The logs' answer may fail after its status was sent. For a client that sent `TE: trailers` (RFC 9110, section 10.1.4) it
 * ends with the trailer {@link ERROR_TRAILER}. Any other client's connection is reset, so that an incomplete answer is not
 * taken for a complete one.
 */

import type { WireError } from '../lib/errors.ts';
import type { ServiceStatus } from './service.ts';

/** `GET /v1/services`. */
export interface ServicesReply {
  readonly services: readonly ServiceStatus[];
}

/** Trailer of `GET /v1/logs` where it failed: the {@link WireError}, JSON, percent-encoded. */
export const ERROR_TRAILER = 'monocore-error';

/** Body of every answer with a status of 400 and above. */
export interface ErrorReply {
  readonly error: WireError;
}

/** Levels of the daemon's own log, most severe first: pino's. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Settings of a daemon, with which `daemon restart` starts its successor. */
export interface DaemonSettings {
  readonly log_level: LogLevel;
  /** Threads that share the log streams. */
  readonly log_workers: number;
  /** Started by a command, not by a service manager or in a terminal. */
  readonly background: boolean;
  /** A signal ends the daemon but not its services. */
  readonly leave_running: boolean;
}

/** `GET /v1/daemon`. */
export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  /** RFC 3339. */
  readonly started_at: string;
  readonly home: string;
  readonly threads: readonly ThreadStatus[];
  readonly services: number;
  /** Missing in the first versions. */
  readonly settings?: DaemonSettings;
}

/** Worker thread, or the pool of jobs. */
export interface ThreadStatus {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'restarting' | 'stopped';
  /** Number of restarts after it died. */
  readonly restarts: number;
}
