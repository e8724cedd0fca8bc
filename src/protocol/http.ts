/** Answers of the HTTP interface that are more than the result of a command, see `workers/api/routes.ts`. */
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
  /** Missing in the first versions. */
  readonly limits?: HostLimits;
}

/** Limits of a daemon, and those that it can set for its services. */
export interface HostLimits {
  /** A text for each place of cgroups. */
  readonly places: readonly string[];
  /** Reasons why limits are not enforced; none where all are. */
  readonly obstacles: readonly string[];
  /** RLIMIT_NOFILE of the daemon; null for no limit. */
  readonly open_files: number | null;
  /** RLIMIT_FSIZE of the daemon; null for no limit. Missing in the first versions. */
  readonly file_bytes?: number | null;
}

/** Worker thread, or the pool of jobs. */
export interface ThreadStatus {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'restarting' | 'stopped';
  /** Number of restarts after it died. */
  readonly restarts: number;
}
