/**
 * The states of a service, the events that change them and the effects that follow: data only. `transition.ts` says
 * which leads to which, `supervisor.ts` performs the effects.
 */
import type { Exit } from '../vm/driver.ts';

/** What a stop has come to. Each rung of the ladder is tried when the one before did not help in time. */
export type StopPhase =
  /** The launch is being called off; there is no process yet, or nobody knows of it yet. */
  | 'cancelling'
  /** The command was asked to end, with SIGTERM. */
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
  | 'killing';

/** A service on its way to `Stopped` or `Failed`. */
export interface Stopping {
  readonly status: 'Stopping';
  readonly phase: StopPhase;
  readonly pid: number | null;
  readonly startedAtMs: number | null;
  /** How the command ended, once known. */
  readonly exit: Exit | null;
  /** Why the service counts as failed; null when it ends in order. */
  readonly error: string | null;
  readonly processEnded: boolean;
  /** Both must be true to leave this state: no tail is lost. */
  readonly streamsEnded: boolean;
  /** A start came meanwhile: the service starts again when it has ended. */
  readonly startAgain: boolean;
}

/** Where a service is. `pid` is the process to show and to measure; null until it is known. */
export type VmState =
  | { readonly status: 'Unstarted' }
  | { readonly status: 'Starting'; readonly phase: 'preparing' | 'booting'; readonly pid: number | null }
  | { readonly status: 'Started'; readonly pid: number; readonly startedAtMs: number }
  | Stopping
  | {
      readonly status: 'Stopped';
      readonly exit: Exit;
      readonly startedAtMs: number | null;
      readonly stoppedAtMs: number;
    }
  | {
      readonly status: 'Failed';
      readonly error: string;
      readonly exit: Exit | null;
      readonly startedAtMs: number | null;
      readonly stoppedAtMs: number;
    };

/** Timers of a supervisor; at most one of each runs. */
export type TimerName =
  /** The VM has to be up by then. */
  | 'start'
  /** The next rung of the stop ladder. */
  | 'stop';

/** What happens to a service. */
export type VmEvent =
  | { readonly type: 'start' }
  /** `timeoutMs` is the time for the graceful part. */
  | { readonly type: 'stop'; readonly timeoutMs: number }
  /** The VM process exists. */
  | { readonly type: 'launched'; readonly pid: number }
  | { readonly type: 'launch-failed'; readonly error: string }
  | { readonly type: 'job-started'; readonly pid: number }
  | { readonly type: 'job-failed'; readonly error: string }
  | { readonly type: 'job-exited'; readonly exit: Exit }
  /** Everything that the command printed is in the log files. */
  | { readonly type: 'drained' }
  | { readonly type: 'process-ended'; readonly exit: Exit }
  /** Everything is in the log files; never before `process-ended`. */
  | { readonly type: 'streams-ended' }
  | { readonly type: 'timer'; readonly timer: TimerName };

export type VmEventType = VmEvent['type'];

/** What a supervisor does after a transition, in order. */
export type Effect =
  /** Writes the state file; done before the effects behind it. */
  | { readonly type: 'persist' }
  /** Prepares and launches; answers `launched` or `launch-failed`, then with what the driver reports. */
  | { readonly type: 'launch' }
  | { readonly type: 'cancel-launch' }
  | { readonly type: 'signal-job'; readonly signal: NodeJS.Signals }
  /** Answers `drained`. */
  | { readonly type: 'drain' }
  | { readonly type: 'release' }
  | { readonly type: 'kill'; readonly signal: NodeJS.Signals }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly delayMs: number }
  | { readonly type: 'cancel-timer'; readonly timer: TimerName }
  | { readonly type: 'watch-metrics'; readonly pid: number }
  | { readonly type: 'unwatch-metrics' }
  /** Keeps the row of the ended service, removes its state file and runtime folder. */
  | { readonly type: 'conclude' }
  /** Answers `start`, before whatever else has come meanwhile. */
  | { readonly type: 'start-again' };

/** A next state and what to do on the way. */
export interface Transition {
  readonly state: VmState;
  readonly effects: readonly Effect[];
}
