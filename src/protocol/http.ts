/** Replies of the HTTP interface that are not the result of a command, see `workers/api/routes.ts`. */
import type { WireError } from '../lib/errors.ts';
import type { ServiceStatus } from './service.ts';

/** `GET /v1/services`. */
export interface ServicesReply {
  readonly services: readonly ServiceStatus[];
}

/** Trailer of `GET /v1/logs` after a failure: the {@link WireError} as JSON, percent-encoded. */
export const ERROR_TRAILER = 'monocore-error';

/** Body of every reply with a status of 400 or above. */
export interface ErrorReply {
  readonly error: WireError;
}

/** Levels of the daemon's own log as in pino, most severe first. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Settings of a daemon; `daemon restart` passes them on to the new daemon. */
export interface DaemonSettings {
  readonly log_level: LogLevel;
  /** Number of threads that share the log streams. */
  readonly log_workers: number;
  /** True if a command started the daemon, false for a service manager or a terminal. */
  readonly background: boolean;
  /** True if a signal ends the daemon but not its services. */
  readonly leave_running: boolean;
}

/** Reply to `GET /v1/daemon`. */
export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  /** RFC 3339 time. */
  readonly started_at: string;
  readonly home: string;
  readonly threads: readonly ThreadStatus[];
  readonly services: number;
  /** Missing in early versions. */
  readonly settings?: DaemonSettings;
  /** Missing in early versions. */
  readonly limits?: HostLimits;
}

/** Resource limits of a daemon, and whether it can set limits for its services. */
export interface HostLimits {
  /** Descriptions of where the daemon can create cgroups. */
  readonly places: readonly string[];
  /** Reasons why limits are not enforced; empty if all are. */
  readonly obstacles: readonly string[];
  /** RLIMIT_NOFILE of the daemon; null if unlimited. */
  readonly open_files: number | null;
  /** RLIMIT_FSIZE of the daemon; null if unlimited. Missing in early versions. */
  readonly file_bytes?: number | null;
}

/** Worker thread, or the pool of jobs. */
export interface ThreadStatus {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'restarting' | 'stopped';
  /** Number of restarts after a crash. */
  readonly restarts: number;
}
