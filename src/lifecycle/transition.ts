/**
 * The lifecycle of one service as a pure function. Every (state, event) pair is named below; a pair that changes
 * nothing says `ignore` and why it can come.
 */
import type { Exit } from '../vm/driver.ts';
import type { Effect, StopPhase, Stopping, Transition, VmEvent, VmState } from './state.ts';

/** A VM boots in seconds; under emulation on a loaded host it may take many times as long. */
export const START_TIMEOUT_MS = 120_000;
/** From the end of the command until all that it printed has arrived. Long, because a full disk may hold it up. */
export const DRAIN_TIMEOUT_MS = 60_000;
/** From `release` until the VM process must have ended: the guest writes out its file systems. */
export const RELEASE_TIMEOUT_MS = 10_000;
/** From SIGTERM to the VM process until SIGKILL. */
export const TERMINATE_TIMEOUT_MS = 2000;

const UNKNOWN_EXIT: Exit = { code: null, signal: null };

type StateOf<Status extends VmState['status']> = Extract<VmState, { status: Status }>;

function ignore(state: VmState): Transition {
  return { state, effects: [] };
}

/** The `stop` timer, anew. */
export function setStopTimer(delayMs: number): Effect {
  return { type: 'set-timer', timer: 'stop', delayMs };
}

function start(): Transition {
  return {
    state: { status: 'Starting', phase: 'preparing', pid: null },
    effects: [
      { type: 'persist' },
      { type: 'set-timer', timer: 'start', delayMs: START_TIMEOUT_MS },
      { type: 'launch' },
    ],
  };
}

/** On the way down. */
export function beginStopping(
  from: Partial<Stopping> & { phase: StopPhase; pid: number | null },
  effects: Effect[],
): Transition {
  const state: Stopping = {
    status: 'Stopping',
    startedAtMs: null,
    exit: null,
    error: null,
    processEnded: false,
    streamsEnded: false,
    startAgain: false,
    ...from,
  };
  return { state, effects: [{ type: 'cancel-timer', timer: 'start' }, { type: 'persist' }, ...effects] };
}

/** How a VM process that was not told to end is described. */
function describeProcessEnd(exit: Exit): string {
  const how = exit.signal ? `by ${exit.signal}` : `with status ${exit.code ?? 'unknown'}`;
  return `the VM process ended ${how}`;
}

function fromEnded(state: VmState, event: VmEvent): Transition {
  switch (event.type) {
    case 'start':
      return start();
    case 'stop': // It is down already.
    case 'launched': // The rest cannot come: nothing runs. A late timer or event of the last run means nothing.
    case 'launch-failed':
    case 'job-started':
    case 'job-failed':
    case 'job-exited':
    case 'drained':
    case 'process-ended':
    case 'streams-ended':
    case 'timer':
      return ignore(state);
  }
}

function fromStarting(state: StateOf<'Starting'>, event: VmEvent, nowMs: number): Transition {
  const { pid } = state;
  switch (event.type) {
    case 'start':
      return ignore(state); // It is on its way.
    case 'launched':
      return { state: { status: 'Starting', phase: 'booting', pid: event.pid }, effects: [{ type: 'persist' }] };
    case 'launch-failed':
      return fail(event.error, null, nowMs);
    case 'job-started':
      return {
        state: { status: 'Started', pid: event.pid, startedAtMs: nowMs },
        effects: [
          { type: 'cancel-timer', timer: 'start' },
          { type: 'persist' },
          { type: 'watch-metrics', pid: event.pid },
        ],
      };
    case 'job-failed':
      return beginStopping({ phase: 'failing', pid, error: event.error }, [setStopTimer(RELEASE_TIMEOUT_MS)]);
    case 'job-exited': // The report of its start was missed.
      return beginStopping({ phase: 'draining', pid, exit: event.exit, startedAtMs: nowMs }, [
        setStopTimer(DRAIN_TIMEOUT_MS),
        { type: 'drain' },
      ]);
    case 'process-ended':
      return beginStopping(
        {
          phase: 'releasing',
          pid,
          processEnded: true,
          error: `${describeProcessEnd(event.exit)} before the command ran`,
        },
        [],
      );
    case 'stop':
      // No command runs yet, so nothing is there to be ended in order.
      return state.phase === 'preparing'
        ? beginStopping({ phase: 'cancelling', pid }, [{ type: 'cancel-launch' }])
        : beginStopping({ phase: 'terminating', pid }, [
            setStopTimer(TERMINATE_TIMEOUT_MS),
            { type: 'kill', signal: 'SIGTERM' },
          ]);
    case 'timer':
      if (event.timer !== 'start') return ignore(state);
      return beginStopping(
        { phase: 'killing', pid, error: `the VM was not ready in ${START_TIMEOUT_MS / 1000} s` },
        state.phase === 'preparing' ? [{ type: 'cancel-launch' }] : [{ type: 'kill', signal: 'SIGKILL' }],
      );
    case 'streams-ended': // Comes after the end of the process.
    case 'drained':
      return ignore(state);
  }
}

function fromStarted(state: StateOf<'Started'>, event: VmEvent): Transition {
  const { pid, startedAtMs } = state;
  switch (event.type) {
    case 'stop':
      return beginStopping({ phase: 'asking', pid, startedAtMs }, [
        setStopTimer(event.timeoutMs),
        { type: 'signal-job', signal: 'SIGTERM' },
      ]);
    case 'job-exited':
      return beginStopping({ phase: 'draining', pid, startedAtMs, exit: event.exit }, [
        { type: 'unwatch-metrics' },
        setStopTimer(DRAIN_TIMEOUT_MS),
        { type: 'drain' },
      ]);
    case 'process-ended':
      return beginStopping(
        {
          phase: 'releasing',
          pid,
          startedAtMs,
          processEnded: true,
          error: `${describeProcessEnd(event.exit)} unexpectedly`,
        },
        [{ type: 'unwatch-metrics' }],
      );
    case 'start': // It is up.
    case 'launched': // Came before.
    case 'launch-failed':
    case 'job-started': // Said again on a new connection.
    case 'job-failed': // It did start.
    case 'drained':
    case 'streams-ended': // Comes after the end of the process.
    case 'timer':
      return ignore(state);
  }
}

function fromStopping(state: Stopping, event: VmEvent, nowMs: number): Transition {
  switch (event.type) {
    case 'start':
      return ignore({ ...state, startAgain: true });
    case 'stop':
      return stopAgain({ ...state, startAgain: false }, event.timeoutMs);
    case 'launched':
      // Called off while it was being launched: nothing of the service has run.
      return {
        state: { ...state, phase: 'killing', pid: event.pid },
        effects: [{ type: 'persist' }, { type: 'kill', signal: 'SIGKILL' }],
      };
    case 'launch-failed':
      return concludeWhenEnded({ ...state, processEnded: true, streamsEnded: true }, nowMs);
    case 'job-exited': {
      const next = { ...state, exit: state.exit ?? event.exit };
      if (state.phase !== 'asking' && state.phase !== 'failing') return ignore(next);
      return {
        state: { ...next, phase: 'draining' },
        effects: [setStopTimer(DRAIN_TIMEOUT_MS), { type: 'drain' }],
      };
    }
    case 'drained':
      if (state.phase !== 'draining' || state.processEnded) return ignore(state);
      return {
        state: { ...state, phase: 'releasing' },
        effects: [setStopTimer(RELEASE_TIMEOUT_MS), { type: 'release' }],
      };
    case 'process-ended': {
      const exit = state.exit ?? exitOfKilled(state, event.exit);
      const error = state.error ?? unexpectedEnd(state, event.exit);
      return concludeWhenEnded({ ...state, exit, error, processEnded: true }, nowMs, [{ type: 'unwatch-metrics' }]);
    }
    case 'streams-ended':
      return concludeWhenEnded({ ...state, streamsEnded: true }, nowMs);
    case 'timer':
      return event.timer === 'stop' ? climbLadder(state) : ignore(state);
    case 'job-started': // The stop came first.
    case 'job-failed':
      return ignore(state);
  }
}

/**
 * A stop of what is ending anyway. The command gets the time of the last stop; drain and release keep theirs, unless
 * there is to be no time at all.
 */
function stopAgain(state: Stopping, timeoutMs: number): Transition {
  const graceful = state.phase === 'failing' || state.phase === 'draining' || state.phase === 'releasing';
  if (state.phase !== 'asking' && !(graceful && timeoutMs === 0)) return ignore(state);
  return { state, effects: [setStopTimer(timeoutMs)] };
}

/**
 * A command that ran died with its VM, by the signal that killed both. Otherwise nobody knows: QEMU ends with status 0
 * on SIGTERM, whatever its guest was doing.
 */
function exitOfKilled(state: Stopping, processExit: Exit): Exit | null {
  const killed = state.phase === 'terminating' || state.phase === 'killing';
  return killed && state.startedAtMs !== null && processExit.signal !== null ? processExit : null;
}

/** The VM went away while its command was still being asked, or its output still being read. */
function unexpectedEnd(state: Stopping, processExit: Exit): string | null {
  return state.phase === 'asking' || state.phase === 'draining'
    ? `${describeProcessEnd(processExit)} unexpectedly`
    : null;
}

/** The next rung: SIGTERM to the VM process, then SIGKILL, then SIGKILL again for as long as it is there. */
function climbLadder(state: Stopping): Transition {
  if (state.processEnded) return ignore(state);
  const phase = state.phase === 'terminating' || state.phase === 'killing' ? 'killing' : 'terminating';
  return {
    state: { ...state, phase },
    effects: [
      setStopTimer(TERMINATE_TIMEOUT_MS),
      { type: 'kill', signal: phase === 'terminating' ? 'SIGTERM' : 'SIGKILL' },
    ],
  };
}

function concludeWhenEnded(state: Stopping, nowMs: number, effects: readonly Effect[] = []): Transition {
  if (!state.processEnded || !state.streamsEnded) return { state, effects };
  const end = state.error === null ? conclude(state, nowMs) : fail(state.error, state, nowMs);
  const again: readonly Effect[] = state.startAgain ? [{ type: 'start-again' }] : [];
  return { state: end.state, effects: [...effects, ...end.effects, ...again] };
}

const CLEAN_UP: readonly Effect[] = [
  { type: 'cancel-timer', timer: 'start' },
  { type: 'cancel-timer', timer: 'stop' },
  { type: 'unwatch-metrics' },
  { type: 'conclude' },
];

function conclude({ exit, startedAtMs }: Stopping, stoppedAtMs: number): Transition {
  return { state: { status: 'Stopped', exit: exit ?? UNKNOWN_EXIT, startedAtMs, stoppedAtMs }, effects: CLEAN_UP };
}

function fail(error: string, from: Stopping | null, stoppedAtMs: number): Transition {
  const { exit = null, startedAtMs = null } = from ?? {};
  return { state: { status: 'Failed', error, exit, startedAtMs, stoppedAtMs }, effects: CLEAN_UP };
}

/**
 * What an event does to a service.
 *
 * @param nowMs wall-clock time, milliseconds since the epoch
 */
export function transition(state: VmState, event: VmEvent, nowMs: number): Transition {
  switch (state.status) {
    case 'Unstarted':
    case 'Stopped':
    case 'Failed':
      return fromEnded(state, event);
    case 'Starting':
      return fromStarting(state, event, nowMs);
    case 'Started':
      return fromStarted(state, event);
    case 'Stopping':
      return fromStopping(state, event, nowMs);
  }
}
