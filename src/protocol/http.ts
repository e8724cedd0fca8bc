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
 * | `GET /v1/logs?name=…&stream=stdout&stream=stderr&tail=100&follow=true&since=…&until=…&grep=…&ignore_case=true` | | text: the records as in the files |
 *
 * `since` and `until` are RFC 3339 with a zone, or milliseconds since the epoch, both included. `grep` is a JavaScript
 * regular expression, see `LogPattern`; `tail` counts the records that match. With `follow` all of them apply to what
 * comes, too, and the answer ends when `until` has passed.
 *
 * Closing the connection cancels a pull or load. An error before its first line is answered as any other; a later one is
 * its last line.
 *
 * The logs' answer may fail after its status was sent. To a client that asked for trailers (`TE: trailers`, RFC 9110
 * section 10.1.4) it ends with the field {@link ERROR_TRAILER}. The connection to any other client is cut off, so that
 * it does not take the part for the whole.
 */

import type { WireError } from '../lib/wire-error.ts';
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
