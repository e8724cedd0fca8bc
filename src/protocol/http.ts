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
 * | `POST /v1/services/stop`, `/restart`, `/remove` | `StopRequest` | `CommandReply` |
 * | `GET /v1/events` | | newline-delimited JSON: a `ControlEvent` for each service known, then each change |
 * | `GET /v1/logs?name=…&stream=stdout&stream=stderr&tail=100&follow=true` | | text: the records as in the files |
 */
import type { ServiceStatus } from './service.ts';
import type { WireError } from './wire-error.ts';

/** `GET /v1/services`. */
export interface ServicesReply {
  readonly services: readonly ServiceStatus[];
}

/** Body of every answer with a status of 400 and above. */
export interface ErrorReply {
  readonly error: WireError;
}
