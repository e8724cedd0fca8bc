/** The way down: the ladder of a stop, the end of the process and of the streams, and what follows. Pure. */
import type { EndedBy } from '../protocol/service.ts';
import type { Exit } from '../vm/backend.ts';
import { decideRestart } from './restart-policy.ts';
import {
  type Effect,
  type EndedState,
  type Failure,
  type MachineEvent,
  NO_RESTARTS,
  type Now,
  type Rules,
  type ServiceState,
  type StopPhase,
  type Stopping,
  TIMER_NAMES,
  type Transition,
} from './states.ts';

/** From the end of the command until all that it printed has arrived. Long, because a full disk may hold it up. */
export const DRAIN_TIMEOUT_MS = 60_000;
/** From `release` until the VM process must have ended: the guest writes out its file systems. */
export const RELEASE_TIMEOUT_MS = 10_000;
/** From SIGTERM to the VM process until SIGKILL. */
export const TERMINATE_TIMEOUT_MS = 2000;

/** Ends of a VM that a panic of its guest may be behind. */
const CRASHES = ['guest-panic', 'guest-reset', 'vm-crash'] as const;

const UNKNOWN_EXIT: Exit = { code: null, signal: null };

/** A service that is stopping, with all that was decided before. */
interface StoppingService extends ServiceState {
  readonly actual: Stopping;
}

/** The `stop` timer, anew. */
export function setStopTimer(delayMs: number): Effect {
  return { type: 'set-timer', timer: 'stop', delayMs };
}

/** The last rung, which is tried again for as long as the process is there. */
export const KILL: readonly Effect[] = [setStopTimer(TERMINATE_TIMEOUT_MS), { type: 'kill', signal: 'SIGKILL' }];

/** Why a VM failed that was not told to end; `when` completes the sentence: `unexpectedly`. */
export function explainProcessEnd(event: Extract<MachineEvent, { type: 'process-ended' }>, when: string): Failure {
  const { exit, reason = 'vm-crash' } = event;
  switch (reason) {
    case 'guest-panic':
      return { reason, message: "the guest's kernel panicked" };
    case 'guest-reset':
      return { reason, message: `the guest switched off or restarted its machine ${when}` };
    case 'vm-crash': {
      const how = exit.signal ? `by ${exit.signal}` : `with status ${exit.code ?? 'unknown'}`;
      return { reason, message: `the VM process ended ${how} ${when}` };
    }
  }
}

/** What {@link beginStopping} has to know; the rest has defaults. */
export type StoppingStart = Partial<Stopping> & Pick<Stopping, 'phase' | 'pid' | 'reason' | 'sequel'>;

/** On the way down. */
export function beginStopping(service: ServiceState, start: StoppingStart, effects: readonly Effect[]): Transition {
  const actual: Stopping = {
    status: 'Stopping',
    startedAtMs: null,
    exit: null,
    detail: null,
    endedBy: null,
    failure: null,
    wasHealthy: false,
    processEnded: false,
    streamsEnded: false,
    ...start,
  };
  const cancelled: Effect[] = [
    { type: 'cancel-timer', timer: 'start' },
    { type: 'cancel-timer', timer: 'health' },
    { type: 'end-probes' },
  ];
  return { state: { ...service, actual }, effects: [...cancelled, { type: 'persist' }, ...effects] };
}

/** Every event for a service that is stopping. */
export function fromStopping(service: StoppingService, event: MachineEvent, now: Now, rules: Rules): Transition {
  const stopping = service.actual;
  const stay = (changes: Partial<Stopping> = {}, effects: readonly Effect[] = []): Transition => ({
    state: { ...service, actual: { ...stopping, ...changes } },
    effects,
  });
  const conclude = (changes: Partial<Stopping>, effects: readonly Effect[] = []): Transition =>
    concludeWhenEnded({ ...service, actual: { ...stopping, ...changes } }, now, rules, effects);

  switch (event.type) {
    case 'start':
    case 'revive':
      return stay({ sequel: 'start' }, [{ type: 'persist' }]);
    case 'stop':
    case 'suspend': {
      const again = stopAgain(stopping, event.timeoutMs);
      return stay({ sequel: 'stay' }, [{ type: 'persist' }, ...again]);
    }
    case 'launched':
      // Called off while it was being launched: nothing of the service has run.
      return stay({ phase: 'killing', pid: event.pid }, [{ type: 'persist' }, ...KILL]);
    case 'launch-failed':
      return conclude({ processEnded: true, streamsEnded: true });
    case 'job-exited': {
      const exit = stopping.exit ?? event.exit;
      const endedBy = stopping.endedBy ?? rungOf(stopping.phase);
      const reason = event.oomKilled && stopping.reason === 'exited' ? 'out-of-memory' : stopping.reason;
      if (stopping.phase !== 'asking' && stopping.phase !== 'failing') return stay({ exit, endedBy, reason });
      return stay({ exit, endedBy, reason, phase: 'draining' }, [setStopTimer(DRAIN_TIMEOUT_MS), { type: 'drain' }]);
    }
    case 'drained':
      if (stopping.phase !== 'draining' || stopping.processEnded) return stay();
      return stay({ phase: 'releasing' }, [setStopTimer(RELEASE_TIMEOUT_MS), { type: 'release' }]);
    case 'process-ended':
      return conclude(
        {
          processEnded: true,
          exit: stopping.exit ?? exitOfKilled(stopping, event.exit),
          endedBy: stopping.endedBy ?? rungOf(stopping.phase),
          failure: stopping.failure ?? unexpectedEnd(stopping, event),
        },
        [{ type: 'unwatch-metrics' }],
      );
    case 'streams-ended':
      return conclude({ streamsEnded: true });
    case 'inspected':
      return stopping.phase === 'inspecting' ? finish(service, event, now, rules) : stay();
    case 'timer':
      return event.timer === 'stop' ? climbLadder(service) : stay();
    case 'image-ready': // The stop came first.
    case 'job-started':
    case 'job-failed':
    case 'again': // It comes behind the conclusion.
    case 'probed': // A probe that was under way.
    case 'memory-sampled':
      return stay();
  }
}

/**
 * A stop of what is ending anyway. The command gets the time of the last stop; drain and release keep theirs, unless
 * there is to be no time at all.
 */
function stopAgain({ phase }: Stopping, timeoutMs: number): readonly Effect[] {
  const graceful = phase === 'failing' || phase === 'draining' || phase === 'releasing';
  return phase === 'asking' || (graceful && timeoutMs === 0) ? [setStopTimer(timeoutMs)] : [];
}

/** What made it end that ends in this phase. */
export function rungOf(phase: StopPhase): EndedBy | null {
  switch (phase) {
    case 'asking':
      return 'stop_signal';
    case 'terminating':
      return 'vm_sigterm';
    case 'killing':
      return 'vm_sigkill';
    default:
      return null;
  }
}

/**
 * A command that ran died with its VM, by the signal that killed both. Otherwise nobody knows: QEMU ends with status 0
 * on SIGTERM, whatever its guest was doing.
 */
function exitOfKilled(stopping: Stopping, processExit: Exit): Exit | null {
  const killed = stopping.phase === 'terminating' || stopping.phase === 'killing';
  return killed && stopping.startedAtMs !== null && processExit.signal !== null ? processExit : null;
}

/** The VM went away while its command was still being asked, or its output still being read. */
function unexpectedEnd({ phase }: Stopping, event: Extract<MachineEvent, { type: 'process-ended' }>): Failure | null {
  return phase === 'asking' || phase === 'draining' ? explainProcessEnd(event, 'unexpectedly') : null;
}

/** The next rung: SIGTERM to the VM process, then SIGKILL. */
function climbLadder(service: StoppingService): Transition {
  const stopping = service.actual;
  if (stopping.processEnded) return { state: service, effects: [] };
  const isLast = stopping.phase === 'terminating' || stopping.phase === 'killing';
  return {
    state: { ...service, actual: { ...stopping, phase: isLast ? 'killing' : 'terminating' } },
    // Noted first: the next daemon, which finds it gone, knows by what.
    effects: [
      { type: 'persist' },
      ...(isLast ? KILL : ([setStopTimer(TERMINATE_TIMEOUT_MS), { type: 'kill', signal: 'SIGTERM' }] as const)),
    ],
  };
}

function concludeWhenEnded(
  service: StoppingService,
  now: Now,
  rules: Rules,
  effects: readonly Effect[] = [],
): Transition {
  const stopping = service.actual;
  if (!stopping.processEnded || !stopping.streamsEnded) return { state: service, effects };
  const isOdd = stopping.failure !== null || stopping.reason === 'out-of-memory';
  if (isOdd && stopping.pid !== null) {
    return {
      state: { ...service, actual: { ...stopping, phase: 'inspecting' } },
      effects: [...effects, { type: 'cancel-timer', timer: 'stop' }, { type: 'inspect' }],
    };
  }
  const end = finish(service, { lastLines: [], panic: null }, now, rules);
  return { state: end.state, effects: [...effects, ...end.effects] };
}

const CLEAN_UP: readonly Effect[] = [
  ...TIMER_NAMES.map((timer): Effect => ({ type: 'cancel-timer', timer })),
  { type: 'end-probes' },
  { type: 'unwatch-metrics' },
  { type: 'conclude' },
];

/** The run is over: says how it ended, and what follows. */
function finish(
  service: StoppingService,
  { lastLines, panic }: Pick<Extract<MachineEvent, { type: 'inspected' }>, 'lastLines' | 'panic'>,
  now: Now,
  rules: Rules,
): Transition {
  const { startedAtMs, exit, wasHealthy, sequel, reason, detail, endedBy } = service.actual;
  const failure = explainCrash(service.actual.failure, panic);
  const common = {
    reason: failure?.reason ?? reason,
    detail,
    endedBy,
    startedAtMs,
    stoppedAtMs: now.ms,
    lastLines,
  };
  const ended: EndedState = failure
    ? { ...common, status: 'Failed', error: failure.message, exit }
    : { ...common, status: 'Stopped', exit: exit ?? UNKNOWN_EXIT };
  return followUp(service, ended, sequel, wasHealthy, now, rules);
}

/** The line that the kernel gave up with says more; where there is no panic device, it alone tells. */
function explainCrash(failure: Failure | null, panic: string | null): Failure | null {
  const isCrash = failure && (CRASHES as readonly string[]).includes(failure.reason);
  if (!isCrash || panic === null) return failure;
  return { reason: 'guest-panic', message: `the guest's kernel panicked: ${panic}` };
}

/** The end of a run, and the next one where there is to be one. */
export function followUp(
  service: ServiceState,
  ended: EndedState,
  sequel: Stopping['sequel'],
  wasHealthy: boolean,
  now: Now,
  rules: Rules,
): Transition {
  if (sequel === 'start') {
    const restarted: Effect = { type: 'go-on', delayMs: 0 };
    return { state: { ...service, actual: ended, restarts: NO_RESTARTS }, effects: [...CLEAN_UP, restarted] };
  }
  const down: Transition = { state: { ...service, actual: ended }, effects: CLEAN_UP };
  if (sequel === 'stay' || service.desired === 'down') return down;
  const decision = decideRestart(rules, ended, wasHealthy, service.restarts, now);
  switch (decision.type) {
    case 'stay-down':
      return down;
    case 'give-up':
      return {
        state: { ...service, actual: { ...ended, status: 'Failed', reason: 'gave-up', error: decision.message } },
        effects: CLEAN_UP,
      };
    case 'restart':
      return {
        state: { ...service, actual: ended, restarts: decision.restarts },
        effects: [...CLEAN_UP, { type: 'go-on', delayMs: decision.delayMs }],
      };
  }
}
