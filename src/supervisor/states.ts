/**
 * States of a service, the events that change them and the effects that follow: data only. `machine.ts` holds the
 * table of transitions, `supervisor.ts` performs the effects.
 */
import type { Service } from '../protocol/service.ts';
import type { EndedBy, EndReason } from '../protocol/supervision.ts';
import type { BackendEvent, Exit } from '../vm/backend.ts';

/**
 * Phases of a stop, in their usual order; the stop timer moves to a harsher one when a phase takes too long. `machine.ts`
 * has the meaning of each.
 */
export const STOP_PHASES = [
  'cancelling',
  'asking',
  'failing',
  'draining',
  'releasing',
  'terminating',
  'killing',
  'inspecting',
] as const;
export type StopPhase = (typeof STOP_PHASES)[number];

/** Reason for a run to count as failed. */
export interface Failure {
  readonly reason: EndReason;
  /** For people. */
  readonly message: string;
}

/** End of a run, as far as it is known. */
interface RunEnd {
  readonly startedAtMs: number | null;
  readonly reason: EndReason;
  /** More about the reason, for people; null where the reason says it all. */
  readonly detail: string | null;
  /** The step of the stop that ended it. */
  readonly endedBy: EndedBy | null;
}

/** A service on its way to `Stopped` or `Failed`. A failure replaces its reason. */
export interface Stopping extends RunEnd {
  readonly status: 'Stopping';
  readonly phase: StopPhase;
  readonly pid: number | null;
  /** Exit of the command, once known. */
  readonly exit: Exit | null;
  /** Null when the run ends normally. */
  readonly failure: Failure | null;
  /** True once a probe of this run succeeded. */
  readonly wasHealthy: boolean;
  readonly processEnded: boolean;
  /** Both must be true to leave this state: the last output is never lost. */
  readonly streamsEnded: boolean;
  /** A user has no more patience: a full disk gets little time for the last output. */
  readonly isHurried: boolean;
  /** `decide`: the restart policy decides. `stay`: a user stopped it. `start`: a user has started it again since. */
  readonly afterStop: 'decide' | 'stay' | 'start';
}

interface Ended extends RunEnd {
  readonly stoppedAtMs: number;
  /** Last lines of a run that failed, oldest first: those of the service, or else of the console. */
  readonly lastLines: readonly string[];
}

export type EndedState =
  | (Ended & { readonly status: 'Stopped'; readonly exit: Exit })
  | (Ended & { readonly status: 'Failed'; readonly error: string; readonly exit: Exit | null });

/** Result of the health check so far. */
export interface Health {
  readonly verdict: 'starting' | 'healthy' | 'unhealthy';
  /** In a row. */
  readonly failures: number;
  /** Detail of the last probe; null before the first one. */
  readonly detail: string | null;
}

export interface Running {
  readonly status: 'Started';
  readonly pid: number;
  readonly startedAtMs: number;
  /** Null without a health check. */
  readonly health: Health | null;
  /** Memory samples above the limit in a row. */
  readonly overMemorySamples: number;
}

/** The last run is over; the restart timer runs. */
export interface Waiting {
  readonly status: 'Starting';
  readonly phase: 'waiting';
  readonly pid: null;
  readonly resumeAtMs: number;
  readonly last: EndedState;
}

/** On its way to run its command. */
export interface Launching {
  readonly status: 'Starting';
  /** `preparing` until the VM process exists. */
  readonly phase: 'preparing' | 'booting';
  readonly pid: number | null;
}

export interface Unstarted {
  readonly status: 'Unstarted';
}

/** Actual state of a service. `pid` is the process to show and to measure; null until it is known. */
export type VmState = Unstarted | Waiting | Launching | Running | Stopping | EndedState;

/** Name of a state: its status, and its phase where it has one. */
export type StateName =
  | 'Unstarted'
  | 'Starting/preparing'
  | 'Starting/booting'
  | 'Started'
  | `Stopping/${StopPhase}`
  | 'Stopped'
  | 'Failed'
  | 'Starting/waiting';

export function nameState(state: VmState): StateName {
  if (state.status === 'Starting') return `${state.status}/${state.phase}`;
  return state.status === 'Stopping' ? `${state.status}/${state.phase}` : state.status;
}

/** Automatic restarts: since the user started the service, and since it last ran well for long. */
export interface RestartHistory {
  readonly total: number;
  readonly inRow: number;
  /** For people; null before the first one. */
  readonly lastReason: string | null;
}

export const NO_RESTARTS: RestartHistory = Object.freeze({ total: 0, inRow: 0, lastReason: null });

export interface ServiceState {
  /** The user's wish, whatever the service does. */
  readonly desired: 'up' | 'down';
  readonly actual: VmState;
  readonly restarts: RestartHistory;
  /** Manifest digest of the image of the current or last run; null where there was none. */
  readonly image?: string | null;
}

/** A service in one of the states `S`. */
export interface ServiceIn<S extends VmState> extends ServiceState {
  readonly actual: S;
}

export const INITIAL_STATE: ServiceState = { desired: 'down', actual: { status: 'Unstarted' }, restarts: NO_RESTARTS };

/** Commands of the user and of the daemon; `timeoutMs` is for the graceful part. `machine.ts` has the meaning of each event. */
type UserEvent =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly timeoutMs: number }
  | { readonly type: 'suspend'; readonly timeoutMs: number }
  | { readonly type: 'recover'; readonly reason: string };

/** Reports about the current run: by its VM, its streams and its measurements. */
type RunEvent =
  | Exclude<BackendEvent, { type: 'paused' }>
  | { readonly type: 'image-ready'; readonly digest: string }
  | { readonly type: 'launched'; readonly pid: number }
  /** `hostFault`: the host lacks something that VMs need, so that another try would fail alike. */
  | { readonly type: 'launch-failed'; readonly error: string; readonly hostFault?: boolean }
  | { readonly type: 'drained' }
  | { readonly type: 'streams-ended' }
  /** Last lines, oldest first, and the kernel's panic line; null where there is none. */
  | { readonly type: 'inspected'; readonly lastLines: readonly string[]; readonly panic: string | null }
  | { readonly type: 'probed'; readonly ok: boolean; readonly detail: string }
  | { readonly type: 'memory-sampled'; readonly bytes: number }
  | { readonly type: 'log-stalled' }
  | { readonly type: 'restart-scheduled'; readonly delayMs: number };

/** Timers of a supervisor; at most one of each runs. The event of a timer has its name. */
export const TIMERS = ['start-timeout', 'stop-timeout', 'probe-due', 'restart-due'] as const;
export type Timer = (typeof TIMERS)[number];
type TimerEvent = { readonly [T in Timer]: { readonly type: T } }[Timer];

export type MachineEvent = UserEvent | RunEvent | TimerEvent;
export type MachineEventType = MachineEvent['type'];

/** Work of a supervisor after a transition, in order. */
export type Effect =
  /** Writes the state file; the effects behind it wait for the disk. */
  | { readonly type: 'persist' }
  /** Writes the state file soon; nothing waits for it, and a later state may replace it. */
  | { readonly type: 'persist-soon' }
  /**
   * Prepares and launches a VM. Answers `image-ready` where there is an image, then `launched` or `launch-failed`, then the
   * reports of the back end.
   */
  | { readonly type: 'launch' }
  | { readonly type: 'cancel-launch' }
  /** Null: the stop signal of the image, or SIGTERM. */
  | { readonly type: 'signal-job'; readonly signal: NodeJS.Signals | null }
  /** Answers `drained`. */
  | { readonly type: 'drain' }
  | { readonly type: 'release' }
  | { readonly type: 'kill'; readonly signal: NodeJS.Signals }
  /** Reports what the VM is doing, before it is killed. */
  | { readonly type: 'examine' }
  /** Shortens the time that a full disk has to take the last output. */
  | { readonly type: 'hurry' }
  /** Answers `inspected`. */
  | { readonly type: 'inspect' }
  /** Probes once; answers `probed`. */
  | { readonly type: 'probe' }
  /** Suppresses the answer of a probe that still runs. */
  | { readonly type: 'end-probes' }
  | { readonly type: 'set-timer'; readonly timer: Timer; readonly delayMs: number }
  | { readonly type: 'cancel-timer'; readonly timer: Timer }
  | { readonly type: 'watch-metrics'; readonly pid: number }
  | { readonly type: 'unwatch-metrics' }
  /** Keeps the final status of the run, removes its state file and its runtime folder. */
  | { readonly type: 'conclude' }
  /** Answers `restart-due` where the delay is 0, else `restart-scheduled`, before any event that waits already. */
  | { readonly type: 'schedule-restart'; readonly delayMs: number };

export interface Transition {
  readonly state: ServiceState;
  readonly effects: readonly Effect[];
}

export function goTo(service: ServiceState, actual: VmState, effects: readonly Effect[] = []): Transition {
  return { state: { ...service, actual }, effects };
}

/** Inputs of a transition that a pure function cannot know. */
export interface Now {
  /** Since the epoch. */
  readonly ms: number;
  /** Time since the command started, whatever the host's clock was set to since; null before its start. */
  readonly ageMs: number | null;
  /** Random, from 0 to below 1: spreads the restarts of services that failed together. */
  readonly jitter: number;
  /** True while a log of the service cannot be written, as on a full disk. */
  readonly isLogStalled: boolean;
}

/** Settings of a service that decide its transitions. */
export type Rules = Pick<
  Service,
  'image' | 'restart' | 'healthcheck' | 'on_unhealthy' | 'stop_signal' | 'stop_timeout_ms'
>;

export type EventOf<T extends MachineEventType> = Extract<MachineEvent, { readonly type: T }>;

/** Input of the handler of the events `E` in one of the states `S`. */
export interface Input<S extends VmState, E extends MachineEvent> {
  readonly service: ServiceIn<S>;
  readonly event: E;
  readonly now: Now;
  readonly rules: Rules;
}

export type On<S extends VmState, T extends MachineEventType> = Input<S, EventOf<T>>;
