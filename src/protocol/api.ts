/** Messages between the api worker and the main thread: a few small commands, exposed with comlink. */
import * as v from 'valibot';
import type { DaemonStatus } from './http.ts';
import type { ImageSummary, LoadRequest, PullRequest, RemovedImages, RemoveImagesRequest } from './images.ts';
import { amount, Line, listOf } from './input.ts';
import { ConfigSchema, ProjectSchema, type ServiceStatus } from './service.ts';

/**
 * Services that a command applies to: by name, or else by group, or else all, of one project or of the home. Names are
 * only looked up among known services and never become part of a path.
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

/** `POST /v1/services/start`, and `plan`, which changes nothing. */
export const StartRequestSchema = v.object({
  ...CHOICE,
  config: ConfigSchema,
  /**
   * Stop services of the project that the config does not declare, in the selected group or in all; not allowed with
   * names.
   */
  prune: v.optional(v.boolean(), false),
  /** If a service fails, restore everything that was changed. */
  atomic: v.optional(v.boolean(), false),
  /** Move services of other projects into this project if a service to start has the same name. */
  take_over: v.optional(v.boolean(), false),
});
export type StartRequest = v.InferOutput<typeof StartRequestSchema>;
/** Request as clients send it. */
export type StartRequestInput = v.InferInput<typeof StartRequestSchema>;

/**
 * `POST /v1/services/stop`, `restart` and `remove`. `timeout_ms` overrides the stop timeout of each service. All
 * services are selected only by `all`: a request that names nothing by mistake changes nothing.
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

/** Body of a request without parameters. */
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
  /** Facts about a start that the user should know although nothing failed, for people; missing if there are none. */
  readonly notes?: readonly string[];
}

/** Action that a start takes on one service. */
export interface PlannedAction {
  readonly name: string;
  /**
   * - `create`: start it for the first time
   * - `start`: start it again
   * - `restart`: it runs with another definition
   * - `keep`: it runs as declared
   * - `stop`: the config no longer declares it
   */
  readonly action: 'create' | 'start' | 'restart' | 'keep' | 'stop';
  /** Reason, for people; null if the action is self-explanatory. */
  readonly reason: string | null;
}

/** Answer of `POST /v1/services/plan`, in the order of execution. */
export interface PlanReply {
  readonly actions: readonly PlannedAction[];
  /** As for {@link CommandReply}. */
  readonly notes?: readonly string[];
}

/** Messages from the main thread to the api worker: every change of a service, in order. */
export type ControlEvent =
  | { readonly type: 'service'; readonly service: ServiceStatus }
  | { readonly type: 'removed'; readonly name: string };

/**
 * Commands of the api worker to the main thread. Every call can throw a MonocoreError; `ServiceUnknown` for an unknown
 * name.
 */
export interface ControlApi {
  start(request: StartRequest): Promise<CommandReply>;
  /** Plan that `start` would carry out. */
  plan(request: StartRequest): Promise<PlanReply>;
  stop(request: StopRequest): Promise<CommandReply>;
  restart(request: StopRequest): Promise<CommandReply>;
  remove(request: StopRequest): Promise<CommandReply>;
  /** Images in the store. */
  images(): Promise<readonly ImageSummary[]>;
  /**
   * Posts each `ImageReply` to the port, the last one being `done` or `error`. Closing the port cancels the request.
   */
  pullImages(request: PullRequest, replies: import('node:worker_threads').MessagePort): Promise<void>;
  /** Posts replies like {@link ControlApi.pullImages}. */
  loadImages(request: LoadRequest, replies: import('node:worker_threads').MessagePort): Promise<void>;
  removeImages(request: RemoveImagesRequest): Promise<RemovedImages>;
  pruneImages(): Promise<RemovedImages>;
  /** Status of all known services, sorted by name. */
  services(): Promise<readonly ServiceStatus[]>;
  daemon(): Promise<DaemonStatus>;
  /** Returns at once; the daemon ends afterwards. */
  stopDaemon(request: DaemonStopRequest): Promise<void>;
}

/** Initial message to the api worker. */
export interface ApiBoot {
  /** Absolute path of the Unix socket. */
  readonly socketPath: string;
  /** Port to the main thread, which implements `ControlApi`. */
  readonly control: import('node:worker_threads').MessagePort;
  /** Port to the log worker, which implements `LogsApi`. */
  readonly logs: import('node:worker_threads').MessagePort;
}

/** Commands of the main thread to the api worker. Exposed with comlink. */
export interface ApiThreadApi {
  /**
   * Creates the socket with mode 0600, replacing whatever exists at its path: the lock of the home guarantees that no
   * other daemon is listening. Throws `HomeUnusable`.
   */
  listen(): Promise<void>;
  /** Removes the socket, ends open streams, waits briefly for pending answers and then cuts them off. */
  close(): Promise<void>;
  /** Passes `events` on to every client of `/v1/events`, in order. */
  publish(events: readonly ControlEvent[]): Promise<void>;
  /** Replaces the port to the log worker after its restart. */
  connectLogs(port: import('node:worker_threads').MessagePort): Promise<void>;
}
