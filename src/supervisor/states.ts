/**
 * States of a service, the events that change them and the effects that follow: data only. `machine.ts` contains the
 * table of transitions, `supervisor.ts` performs the effects.
 */
import type { Service } from '../protocol/service.ts';
import type { EndedBy, EndReason } from '../protocol/supervision.ts';
import type { BackendEvent, Exit } from '../vm/backend.ts';

/**
 * Phases of a stop in their usual order; if a phase takes too long, the stop timer moves on to a harsher one.
 * `machine.ts` explains each of them.
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

/** Reason why a run counts as failed. */
export interface Failure {
  readonly reason: EndReason;
  /** Text for people. */
  readonly message: string;
}

/** End of a run, as far as known. */
interface RunEnd {
  readonly startedAtMs: number | null;
  readonly reason: EndReason;
  /** Details of the reason, for people; null if the reason is self-explanatory. */
  readonly detail: string | null;
  /** Step of the stop that ended it. */
  readonly endedBy: EndedBy | null;
}

/** Service on its way to `Stopped` or `Failed`. A failure replaces the reason. */
export interface Stopping extends RunEnd {
  readonly status: 'Stopping';
  readonly phase: StopPhase;
  readonly pid: number | null;
  /** Exit of the command, once known. */
  readonly exit: Exit | null;
  /** Null when the run ends normally. */
  readonly failure: Failure | null;
  /** True if a probe of this run succeeded. */
  readonly wasHealthy: boolean;
  readonly processEnded: boolean;
  /** This and the end of the process are required to leave the state, so that no output is lost. */
  readonly streamsEnded: boolean;
  /** True once the user insists on a quick stop: a full disk then gets little time for the last output. */
  readonly isHurried: boolean;
  /**
   * `decide`: the restart policy decides. `stay`: a user stopped the service. `start`: a user has started it again
   * since then.
   */
  readonly afterStop: 'decide' | 'stay' | 'start';
}

interface Ended extends RunEnd {
  readonly stoppedAtMs: number;
  /** Last lines of a failed run, oldest first: output of the service, or else of the console. */
  readonly lastLines: readonly string[];
}

export type EndedState =
  | (Ended & { readonly status: 'Stopped'; readonly exit: Exit })
  | (Ended & { readonly status: 'Failed'; readonly error: string; readonly exit: Exit | null });

/** Current result of the health check. */
export interface Health {
  readonly verdict: 'starting' | 'healthy' | 'unhealthy';
  /** Number of consecutive failures. */
  readonly failures: number;
  /** Detail of the last probe; null before the first probe. */
  readonly detail: string | null;
}

export interface Running {
  readonly status: 'Started';
  readonly pid: number;
  readonly startedAtMs: number;
  /** Null without a health check. */
  readonly health: Health | null;
  /** Number of consecutive memory samples above the limit. */
  readonly overMemorySamples: number;
}

/** Waiting for the restart timer after the end of a run. */
export interface Waiting {
  readonly status: 'Starting';
  readonly phase: 'waiting';
  readonly pid: null;
  readonly resumeAtMs: number;
  readonly last: EndedState;
}

/** Launching the command. */
export interface Launching {
  readonly status: 'Starting';
  /** `preparing` until the VM process exists, then `booting`. */
  readonly phase: 'preparing' | 'booting';
  readonly pid: number | null;
}

export interface Unstarted {
  readonly status: 'Unstarted';
}

/** Actual state of a service. `pid` is the process to show and to measure; null until it is known. */
export type VmState = Unstarted | Waiting | Launching | Running | Stopping | EndedState;

/** Name of a state: its status, followed by its phase if it has one. */
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

/** Automatic restarts: since the user started the service, and since its last long and healthy run. */
export interface RestartHistory {
  readonly total: number;
  readonly inRow: number;
  /** Text for people; null before the first restart. */
  readonly lastReason: string | null;
}

export const NO_RESTARTS: RestartHistory = Object.freeze({ total: 0, inRow: 0, lastReason: null });

export interface ServiceState {
  /** The user's intention, whatever the service is doing. */
  readonly desired: 'up' | 'down';
  readonly actual: VmState;
  readonly restarts: RestartHistory;
  /** Manifest digest of the image used by the current or last run; null if it used none. */
  readonly image?: string | null;
}

/** Service in one of the states `S`. */
export interface ServiceIn<S extends VmState> extends ServiceState {
  readonly actual: S;
}

export const INITIAL_STATE: ServiceState = { desired: 'down', actual: { status: 'Unstarted' }, restarts: NO_RESTARTS };

/**
 * Commands of the user and of the daemon; `timeoutMs` applies to the graceful part. `machine.ts` explains each event.
 */
type UserEvent =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly timeoutMs: number }
  | { readonly type: 'suspend'; readonly timeoutMs: number }
  | { readonly type: 'recover'; readonly reason: string };

/** Reports about the current run: from its VM, its streams and its measurements. */
type RunEvent =
  | Exclude<BackendEvent, { type: 'paused' }>
  | { readonly type: 'image-ready'; readonly digest: string }
  | { readonly type: 'launched'; readonly pid: number }
  /** `hostFault`: the host lacks something that VMs need, so that a retry would fail in the same way. */
  | { readonly type: 'launch-failed'; readonly error: string; readonly hostFault?: boolean }
  | { readonly type: 'drained' }
  | { readonly type: 'streams-ended' }
  /** Last lines, oldest first, and the kernel's panic line; null if there is none. */
  | { readonly type: 'inspected'; readonly lastLines: readonly string[]; readonly panic: string | null }
  | { readonly type: 'probed'; readonly ok: boolean; readonly detail: string }
  | { readonly type: 'memory-sampled'; readonly bytes: number }
  | { readonly type: 'log-stalled' }
  | { readonly type: 'restart-scheduled'; readonly delayMs: number };

/** Timers of a supervisor; at most one of each is running. The event of a timer has the same name. */
export const TIMERS = ['start-timeout', 'stop-timeout', 'probe-due', 'restart-due'] as const;
export type Timer = (typeof TIMERS)[number];
type TimerEvent = { readonly [T in Timer]: { readonly type: T } }[Timer];

export type MachineEvent = UserEvent | RunEvent | TimerEvent;
export type MachineEventType = MachineEvent['type'];

/** Work that a supervisor performs after a transition, in order. */
export type Effect =
  /** Writes the state file; later effects wait for the disk. */
  | { readonly type: 'persist' }
  /** Writes the state file soon; nothing waits for it, and a later state may replace it. */
  | { readonly type: 'persist-soon' }
  /**
   * Prepares and launches a VM. Results in `image-ready` if there is an image, then `launched` or `launch-failed`, then
   * the reports of the back end.
   */
  | { readonly type: 'launch' }
  | { readonly type: 'cancel-launch' }
  /** Null stands for the stop signal of the image, or SIGTERM. */
  | { readonly type: 'signal-job'; readonly signal: NodeJS.Signals | null }
  /** Results in `drained`. */
  | { readonly type: 'drain' }
  | { readonly type: 'release' }
  | { readonly type: 'kill'; readonly signal: NodeJS.Signals }
  /** Reports what the VM is doing, before it is killed. */
  | { readonly type: 'examine' }
  /** Shortens the time that a full disk has to accept the last output. */
  | { readonly type: 'hurry' }
  /** Results in `inspected`. */
  | { readonly type: 'inspect' }
  /** Probes once; results in `probed`. */
  | { readonly type: 'probe' }
  /** Suppresses the result of a probe that is still running. */
  | { readonly type: 'end-probes' }
  | { readonly type: 'set-timer'; readonly timer: Timer; readonly delayMs: number }
  | { readonly type: 'cancel-timer'; readonly timer: Timer }
  | { readonly type: 'watch-metrics'; readonly pid: number }
  | { readonly type: 'unwatch-metrics' }
  /** Saves the final status of the run, and removes its state file and its runtime folder. */
  | { readonly type: 'conclude' }
  /** Results in `restart-due` if the delay is 0, otherwise in `restart-scheduled`, ahead of all waiting events. */
  | { readonly type: 'schedule-restart'; readonly delayMs: number };

export interface Transition {
  readonly state: ServiceState;
  readonly effects: readonly Effect[];
}

export function goTo(service: ServiceState, actual: VmState, effects: readonly Effect[] = []): Transition {
  return { state: { ...service, actual }, effects };
}

/** Inputs of a transition that are not part of the state or the event. */
export interface Now {
  /** Milliseconds since the epoch. */
  readonly ms: number;
  /** Time since the command started, independent of changes to the host's clock; null before its start. */
  readonly ageMs: number | null;
  /** Random number in [0, 1): spreads the restarts of services that failed together. */
  readonly jitter: number;
  /** True while a log of the service cannot be written, as on a full disk. */
  readonly isLogStalled: boolean;
}

/** Settings of a service that determine its transitions. */
export type Rules = Pick<
  Service,
  'image' | 'restart' | 'healthcheck' | 'on_unhealthy' | 'stop_signal' | 'stop_timeout_ms'
>;

export type EventOf<T extends MachineEventType> = Extract<MachineEvent, { readonly type: T }>;

/** Input of a handler for the events `E` in one of the states `S`. */
export interface Input<S extends VmState, E extends MachineEvent> {
  readonly service: ServiceIn<S>;
  readonly event: E;
  readonly now: Now;
  readonly rules: Rules;
}

export type On<S extends VmState, T extends MachineEventType> = Input<S, EventOf<T>>;
