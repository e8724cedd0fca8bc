/** Messages between the api worker and the main thread: few and small commands, exposed with comlink. */
import * as v from 'valibot';
import type { DaemonStatus } from './http.ts';
import type { ImageSummary, LoadRequest, PullRequest, RemovedImages, RemoveImagesRequest } from './images.ts';
import { amount, Line, listOf } from './input.ts';
import { ConfigSchema, ProjectSchema, type ServiceStatus } from './service.ts';

/**
 * Services of a command: names, else a group, else all, of one project or of the home. They are looked up; no path is made
 * of what is not found.
 */
const CHOICE = {
  names: v.optional(listOf(Line), []),
  group: v.optional(v.nullable(Line), null),
};
const SelectionSchema = v.object({
  ...CHOICE,
  project: v.optional(v.nullable(ProjectSchema)),
});
export type Selection = v.InferOutput<typeof SelectionSchema>;

/** `POST /v1/services/start`, and `plan`, which carries nothing out. */
export const StartRequestSchema = v.object({
  ...CHOICE,
  config: ConfigSchema,
  /** Stop services of the project that the config does not declare, in the selected group or in all; not with names. */
  prune: v.optional(v.boolean(), false),
  /** If a service fails, restore everything that was changed. */
  atomic: v.optional(v.boolean(), false),
  /** Move services of other projects that have the names of services to start into this project. */
  take_over: v.optional(v.boolean(), false),
});
export type StartRequest = v.InferOutput<typeof StartRequestSchema>;
/** As clients send it. */
export type StartRequestInput = v.InferInput<typeof StartRequestSchema>;

/**
 * `POST /v1/services/stop`, `restart` and `remove`. `timeout_ms` replaces each service's own stop timeout. Every service is
 * meant only where `all` says so: a request that names nothing by mistake changes nothing.
 */
export const StopRequestSchema = v.pipe(
  v.object({
    ...SelectionSchema.entries,
    all: v.optional(v.boolean(), false),
    timeout_ms: v.optional(v.nullable(amount()), null),
  }),
  v.check(
    ({ names, group, project = null, all }) => all === (names.length === 0 && group === null && project === null),
    'it must name services, a group or a project, or say "all": true',
  ),
);
export type StopRequest = v.InferOutput<typeof StopRequestSchema>;
export type StopRequestInput = v.InferInput<typeof StopRequestSchema>;

/** Body of a request that has no parameters. */
export const NoRequestSchema = v.object({});

/** `POST /v1/daemon/stop`. */
export const DaemonStopRequestSchema = v.object({ leave_running: v.optional(v.boolean(), false) });
export type DaemonStopRequest = v.InferOutput<typeof DaemonStopRequestSchema>;

/** Outcome of a command for one service. */
export interface ServiceOutcome {
  readonly service: ServiceStatus;
  /** `unchanged`: there was nothing to do; `failed`: see `error`. */
  readonly outcome: 'changed' | 'unchanged' | 'failed';
  readonly error: string | null;
  /** Last lines of a failed service, or else of its VM; oldest first. */
  readonly last_lines: readonly string[];
}

export interface CommandReply {
  readonly services: readonly ServiceOutcome[];
}

/** Action of a start on one service. */
export interface PlannedAction {
  readonly name: string;
  /**
   * - `create`: start it for the first time
   * - `start`: start it again
   * - `restart`: it runs with another definition
   * - `keep`: it runs as declared
   * - `stop`: the config does not declare it any more
   */
  readonly action: 'create' | 'start' | 'restart' | 'keep' | 'stop';
  /** Reason, for people; null if the action says it. */
  readonly reason: string | null;
}

/** Answer of `POST /v1/services/plan`, in the order of execution. */
export interface PlanReply {
  readonly actions: readonly PlannedAction[];
}

/** Messages of the main thread to the api worker: every change of a service, in order. */
export type ControlEvent =
  | { readonly type: 'service'; readonly service: ServiceStatus }
  | { readonly type: 'removed'; readonly name: string };

/** Commands of the api worker to the main thread. Every call throws a MonocoreError; `ServiceUnknown` for an unknown name. */
export interface ControlApi {
  start(request: StartRequest): Promise<CommandReply>;
  /** Plan of `start`, without carrying it out. */
  plan(request: StartRequest): Promise<PlanReply>;
  stop(request: StopRequest): Promise<CommandReply>;
  restart(request: StopRequest): Promise<CommandReply>;
  remove(request: StopRequest): Promise<CommandReply>;
  /** Every stored image. */
  images(): Promise<readonly ImageSummary[]>;
  /** Posts each `ImageReply` over the port, the last one `done` or `error`. Closing the port cancels the request. */
  pullImages(request: PullRequest, replies: import('node:worker_threads').MessagePort): Promise<void>;
  /** Posts replies like {@link ControlApi.pullImages}. */
  loadImages(request: LoadRequest, replies: import('node:worker_threads').MessagePort): Promise<void>;
  removeImages(request: RemoveImagesRequest): Promise<RemovedImages>;
  pruneImages(): Promise<RemovedImages>;
  /** Every known service, sorted by name. */
  services(): Promise<readonly ServiceStatus[]>;
  daemon(): Promise<DaemonStatus>;
  /** Answers at once; the daemon ends afterwards. */
  stopDaemon(request: DaemonStopRequest): Promise<void>;
}

/** Start message of the api worker. */
export interface ApiBoot {
  /** Absolute path of the unix socket. */
  readonly socketPath: string;
  /** Its other end answers as `ControlApi`: the main thread. */
  readonly control: import('node:worker_threads').MessagePort;
  /** Its other end answers as `LogsApi`: the log worker. */
  readonly logs: import('node:worker_threads').MessagePort;
}

/** Commands of the main thread. Exposed with comlink. */
export interface ApiThreadApi {
  /**
   * Opens the socket, mode 0600, in the place of what is there: the daemon's lock says that no other daemon listens.
   * Throws `HomeUnusable`.
   */
  listen(): Promise<void>;
  /** Removes the socket, ends the streams that are open, waits a little for answers that are due, then cuts them off. */
  close(): Promise<void>;
  /** Passes `events` on to every client of `/v1/events`, in their order. */
  publish(events: readonly ControlEvent[]): Promise<void>;
  /** Takes the place of the port to the log worker after that was started again. */
  connectLogs(port: import('node:worker_threads').MessagePort): Promise<void>;
}
