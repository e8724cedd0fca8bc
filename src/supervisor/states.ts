/**
 * The states of a service, the events that change them and the effects that follow: data only. `transition.ts` says
 * which leads to which, `supervisor.ts` performs the effects.
 */
import type { EndedBy, EndReason, Service } from '../protocol/service.ts';
import type { Exit, VmEndReason } from '../vm/backend.ts';

/** What a stop has come to. Each rung of the ladder is tried when the one before did not help in time. */
export type StopPhase =
  /** The launch is being called off; there is no process yet, or nobody knows of it yet. */
  | 'cancelling'
  /** The command was asked to end, with its stop signal. */
  | 'asking'
  /** The command could not be run; the guest is about to say so. */
  | 'failing'
  /** The command has ended; what it printed is on its way. */
  | 'draining'
  /** Everything has arrived; the VM was told to end. */
  | 'releasing'
  /** The VM process got SIGTERM. */
  | 'terminating'
  /** The VM process got SIGKILL. */
  | 'killing'
  /** It is over; what the VM said last is looked up. */
  | 'inspecting';

/** Why a run counts as failed. */
export interface Failure {
  readonly reason: EndReason;
  /** For people. */
  readonly message: string;
}

/** A service on its way to `Stopped` or `Failed`. */
export interface Stopping {
  readonly status: 'Stopping';
  readonly phase: StopPhase;
  readonly pid: number | null;
  readonly startedAtMs: number | null;
  /** How the command ended, once known. */
  readonly exit: Exit | null;
  /** Why it ends; a failure replaces it. */
  readonly reason: EndReason;
  /** More about the reason, for people; null where it says all. */
  readonly detail: string | null;
  /** What made it end, once it has. */
  readonly endedBy: EndedBy | null;
  /** Why the run counts as failed; null when it ends in order. */
  readonly failure: Failure | null;
  /** Whether its health check, if it has one, found it healthy in this run. */
  readonly wasHealthy: boolean;
  readonly processEnded: boolean;
  /** Both must be true to leave this state: no tail is lost. */
  readonly streamsEnded: boolean;
  /**
   * What follows: the restart policy decides, or it stays down because somebody said so, or it starts again because
   * somebody said so after that.
   */
  readonly sequel: 'decide' | 'stay' | 'start';
}

/** What is known of a run that is over. */
export interface Ended {
  readonly reason: EndReason;
  /** More about the reason, for people; null where it says all. */
  readonly detail: string | null;
  readonly endedBy: EndedBy | null;
  readonly startedAtMs: number | null;
  readonly stoppedAtMs: number;
  /** What the VM said last, where it did not end in order; oldest first. */
  readonly lastLines: readonly string[];
}

export type EndedState =
  | (Ended & { readonly status: 'Stopped'; readonly exit: Exit })
  | (Ended & { readonly status: 'Failed'; readonly error: string; readonly exit: Exit | null });

/** What the health check has found so far. */
export interface Health {
  readonly verdict: 'starting' | 'healthy' | 'unhealthy';
  /** In a row. */
  readonly failures: number;
  /** What the last probe said; null before the first one. */
  readonly detail: string | null;
}

export interface Started {
  readonly status: 'Started';
  readonly pid: number;
  readonly startedAtMs: number;
  /** Null without a health check. */
  readonly health: Health | null;
  /** Samples in a row with more memory than the service may have. */
  readonly overMemorySamples: number;
}

/** The last run is over, the next one waits for its time. */
export interface Waiting {
  readonly status: 'Starting';
  readonly phase: 'waiting';
  readonly pid: null;
  readonly resumeAtMs: number;
  readonly last: EndedState;
}

/** Where a service is. `pid` is the process to show and to measure; null until it is known. */
export type VmState =
  | { readonly status: 'Unstarted' }
  | Waiting
  | { readonly status: 'Starting'; readonly phase: 'preparing' | 'booting'; readonly pid: number | null }
  | Started
  | Stopping
  | EndedState;

/** The restarts that nobody asked for. */
export interface RestartHistory {
  /** Since the user started the service. */
  readonly total: number;
  /** Since it last ran well for long. */
  readonly inRow: number;
  /** For people; null before the first one. */
  readonly lastReason: string | null;
}

export const NO_RESTARTS: RestartHistory = Object.freeze({ total: 0, inRow: 0, lastReason: null });

/** Everything that decides what comes next. */
export interface ServiceState {
  /** What the user wants, whatever the service does. */
  readonly desired: 'up' | 'down';
  readonly actual: VmState;
  readonly restarts: RestartHistory;
  /** Digest of the manifest that the last run was booted from, or the current one is; null where there was none. */
  readonly image?: string | null;
}

/** Nothing has happened yet. */
export const INITIAL_STATE: ServiceState = { desired: 'down', actual: { status: 'Unstarted' }, restarts: NO_RESTARTS };

/** Timers of a supervisor; at most one of each runs. */
export type TimerName =
  /** The VM has to be up by then. */
  | 'start'
  /** The next rung of the stop ladder. */
  | 'stop'
  /** The next probe is due. */
  | 'health'
  /** The next run is due. */
  | 'restart';

export const TIMER_NAMES: readonly TimerName[] = ['start', 'stop', 'health', 'restart'];

/** What happens to a service. */
export type MachineEvent =
  /** The user wants it up. */
  | { readonly type: 'start' }
  /** The user wants it down; `timeoutMs` is the time for the graceful part. */
  | { readonly type: 'stop'; readonly timeoutMs: number }
  /** The daemon ends it, but the user still wants it up; `timeoutMs` as above. */
  | { readonly type: 'suspend'; readonly timeoutMs: number }
  /** A daemon has started, and its policy wants the service up. */
  | { readonly type: 'revive'; readonly reason: string }
  /** The run before is concluded and another one is to follow; never sent from outside. */
  | { readonly type: 'again'; readonly delayMs: number }
  /** The image of a service that has one is ready, and the VM is about to be launched. */
  | { readonly type: 'image-ready'; readonly digest: string }
  /** The VM process exists. */
  | { readonly type: 'launched'; readonly pid: number }
  | { readonly type: 'launch-failed'; readonly error: string }
  | { readonly type: 'job-started'; readonly pid: number }
  | { readonly type: 'job-failed'; readonly error: string }
  | { readonly type: 'job-exited'; readonly exit: Exit; readonly oomKilled?: boolean }
  /** Everything that the command printed is in the log files. */
  | { readonly type: 'drained' }
  | { readonly type: 'process-ended'; readonly exit: Exit; readonly reason?: VmEndReason }
  /** Everything is in the log files; never before `process-ended`. */
  | { readonly type: 'streams-ended' }
  /** What the VM said last; `panic` is the line of it with which the guest's kernel gave up, or null. */
  | { readonly type: 'inspected'; readonly lastLines: readonly string[]; readonly panic: string | null }
  | { readonly type: 'probed'; readonly ok: boolean; readonly detail: string }
  | { readonly type: 'memory-sampled'; readonly bytes: number }
  | { readonly type: 'timer'; readonly timer: TimerName };

export type MachineEventType = MachineEvent['type'];

/** What a supervisor does after a transition, in order. */
export type Effect =
  /** Writes the state file, or that of an ended service; done before the effects behind it. */
  | { readonly type: 'persist' }
  /** The same within a moment, unless a later state is written before. Nothing waits for it. */
  | { readonly type: 'persist-soon' }
  /**
   * Prepares and launches; answers `image-ready` where there is an image, `launched` or `launch-failed`, then with what the
   * backend reports.
   */
  | { readonly type: 'launch' }
  | { readonly type: 'cancel-launch' }
  /** Null: the signal that its image asks for, or SIGTERM. */
  | { readonly type: 'signal-job'; readonly signal: NodeJS.Signals | null }
  /** Answers `drained`. */
  | { readonly type: 'drain' }
  | { readonly type: 'release' }
  | { readonly type: 'kill'; readonly signal: NodeJS.Signals }
  /** Answers `inspected`. */
  | { readonly type: 'inspect' }
  /** Asks once how the service is; answers `probed`. */
  | { readonly type: 'probe' }
  /** No answer comes any more. */
  | { readonly type: 'end-probes' }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly delayMs: number }
  | { readonly type: 'cancel-timer'; readonly timer: TimerName }
  | { readonly type: 'watch-metrics'; readonly pid: number }
  | { readonly type: 'unwatch-metrics' }
  /** Keeps the row of the ended service, removes its state file and runtime folder. */
  | { readonly type: 'conclude' }
  /** Answers `again`, before whatever else has come meanwhile. */
  | { readonly type: 'go-on'; readonly delayMs: number };

/** A next state and what to do on the way. */
export interface Transition {
  readonly state: ServiceState;
  readonly effects: readonly Effect[];
}

/** The moment of a transition: what a pure function cannot know by itself. */
export interface Now {
  /** Milliseconds since the epoch. */
  readonly ms: number;
  /** A random number, from 0 to below 1: spreads restarts of services that failed together. */
  readonly dice: number;
}

/** What of a service's definition decides about its transitions. */
export type Rules = Pick<
  Service,
  'image' | 'restart' | 'healthcheck' | 'on_unhealthy' | 'stop_signal' | 'stop_timeout_ms'
>;
