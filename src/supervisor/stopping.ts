/**
 * Handlers for a service that is stopping: the steps of a stop, the end of its process and streams, its next run. Pure.
 */
import { formatSize } from '../lib/units.ts';
import type { EndedBy } from '../protocol/supervision.ts';
import type { Exit } from '../vm/backend.ts';
import { decideRestart } from './restart-policy.ts';
import {
  type Effect,
  type EndedState,
  type EventOf,
  type Failure,
  goTo,
  type Input,
  type MachineEvent,
  NO_RESTARTS,
  type Now,
  type On,
  type Rules,
  type ServiceIn,
  type ServiceState,
  type StopPhase,
  type Stopping,
  TIMERS,
  type Transition,
} from './states.ts';

/** Time from the end of the command until all its output has arrived. Long, because a full disk may delay it. */
export const DRAIN_TIMEOUT_MS = 60_000;
/** The same where a user waits for the stop and the disk is known to be full, or has no more patience. */
export const HURRIED_DRAIN_TIMEOUT_MS = 5000;
/** Time from `release` until the VM process must have ended: the guest writes back its file systems. */
export const RELEASE_TIMEOUT_MS = 10_000;
/** Time from SIGTERM to the VM process until SIGKILL. */
export const TERMINATE_TIMEOUT_MS = 2000;

/** Ends of a VM that may have been caused by a kernel panic in the guest. */
const CRASHES: readonly string[] = ['guest-panic', 'guest-reset', 'vm-crash'];

const UNKNOWN_EXIT: Exit = { code: null, signal: null };

/** Input of a handler for a stop or the end of a run. */
type StopInput = Input<Stopping, MachineEvent>;

export function setStopTimer(delayMs: number): Effect {
  return { type: 'set-timer', timer: 'stop-timeout', delayMs };
}

export const TERMINATE: readonly Effect[] = [setStopTimer(TERMINATE_TIMEOUT_MS), { type: 'kill', signal: 'SIGTERM' }];
/** Last step of a stop, repeated as long as the process exists. */
export const KILL: readonly Effect[] = [setStopTimer(TERMINATE_TIMEOUT_MS), { type: 'kill', signal: 'SIGKILL' }];
export const DRAIN: readonly Effect[] = [setStopTimer(DRAIN_TIMEOUT_MS), { type: 'drain' }];

/** Explains the unrequested end of a VM process; `when` completes the sentence: `unexpectedly`. */
export function explainProcessEnd(event: EventOf<'process-ended'>, when: string): Failure {
  const { exit, reason = 'vm-crash', offence = 'flooded a port of its VM', memoryLimitBytes = 0 } = event;
  const how = exit.signal ? `by ${exit.signal}` : `with status ${exit.code ?? 'unknown'}`;
  const messages = {
    'guest-panic': "the guest's kernel panicked",
    'guest-flood': `the guest ${offence}`,
    'guest-reset': `the guest powered off or rebooted ${when}`,
    'vm-crash': `the VM process ended ${how} ${when}`,
    'memory-limit': `the VM process reached its memory limit of ${formatSize(memoryLimitBytes)}`,
  };
  return { reason, message: messages[reason] };
}

/** Required and optional fields for {@link beginStopping}. */
export type StoppingStart = Partial<Stopping> & Pick<Stopping, 'phase' | 'pid' | 'reason' | 'afterStop'>;

export function beginStopping(service: ServiceState, start: StoppingStart, effects: readonly Effect[]): Transition {
  const stopping: Stopping = {
    status: 'Stopping',
    startedAtMs: null,
    exit: null,
    detail: null,
    endedBy: null,
    failure: null,
    wasHealthy: false,
    processEnded: false,
    streamsEnded: false,
    isHurried: false,
    ...start,
  };
  return goTo(service, stopping, [
    { type: 'cancel-timer', timer: 'start-timeout' },
    { type: 'cancel-timer', timer: 'probe-due' },
    { type: 'end-probes' },
    { type: 'persist' },
    ...effects,
  ]);
}

/** Starts to read the last output of a command that has ended by itself. */
export function drainAfterExit(
  service: ServiceState,
  run: Pick<StoppingStart, 'pid' | 'startedAtMs' | 'wasHealthy'>,
  { exit, oomKilled = false }: Pick<EventOf<'job-exited'>, 'exit' | 'oomKilled'>,
  effects: readonly Effect[],
): Transition {
  const reason = oomKilled ? 'out-of-memory' : 'exited';
  const start = { ...run, phase: 'draining', reason, afterStop: 'decide', exit, endedBy: 'command' } as const;
  return beginStopping(service, start, [...effects, ...DRAIN]);
}

export function change(
  service: ServiceIn<Stopping>,
  changes: Partial<Stopping>,
  effects: readonly Effect[] = [],
): Transition {
  return goTo(service, { ...service.actual, ...changes }, effects);
}

/**
 * Handles a repeated stop. The command gets the timeout of the latest stop. `draining` and `releasing` keep theirs
 * unless the latest timeout is 0, which then also applies to a full disk.
 */
export function stopAgain({ service, event, now }: On<Stopping, 'stop' | 'suspend'>): Transition {
  const { phase } = service.actual;
  const isGraceful = phase === 'failing' || phase === 'draining' || phase === 'releasing';
  const isSooner = phase === 'asking' || (isGraceful && event.timeoutMs === 0);
  const timer = isSooner ? [setStopTimer(event.timeoutMs)] : [];
  const isHurried = service.actual.isHurried || event.timeoutMs === 0;
  const hurry: readonly Effect[] = event.timeoutMs === 0 ? [{ type: 'hurry' }] : [];
  const stopped = change(service, { afterStop: 'stay', isHurried }, [{ type: 'persist' }, ...timer, ...hurry]);
  return hurryWhereStalled(stopped, now);
}

export function logStalled({ service, now }: On<Stopping, 'log-stalled'>): Transition {
  return hurryWhereStalled(change(service, {}), now);
}

/**
 * Gives the last output little time where a user waits for the stop and the disk does not take it. The end of a run that
 * nobody waits for has all the time.
 */
function hurryWhereStalled(transition: Transition, { isLogStalled }: Now): Transition {
  const { state, effects } = transition;
  const { actual } = state;
  if (!isLogStalled || actual.status !== 'Stopping' || actual.isHurried || actual.afterStop === 'decide') {
    return transition;
  }
  const isDraining = actual.phase === 'draining' && !actual.processEnded;
  // While the command runs, the stop has time limits of its own.
  if (!isDraining && !actual.processEnded && actual.phase !== 'cancelling') return transition;
  const timer = isDraining ? [setStopTimer(HURRIED_DRAIN_TIMEOUT_MS)] : [];
  return goTo(state, { ...actual, isHurried: true }, [...effects, ...timer, { type: 'hurry' }]);
}

/** Kills a VM whose launch was cancelled: its command has not run. */
export function killLaunched({ service, event }: On<Stopping, 'launched'>): Transition {
  return change(service, { phase: 'killing', pid: event.pid }, [{ type: 'persist' }, ...KILL]);
}

/** Records the first known exit of the command, and the step of the stop that ended it. */
export function noteExit({ service, event, now }: On<Stopping, 'job-exited'>, phase?: 'draining'): Transition {
  const { actual } = service;
  const changes: Partial<Stopping> = {
    exit: actual.exit ?? event.exit,
    endedBy: actual.endedBy ?? stopStepOf(actual.phase),
    reason: event.oomKilled && actual.reason === 'exited' ? 'out-of-memory' : actual.reason,
  };
  if (!phase) return change(service, changes);
  const drain = actual.isHurried ? [setStopTimer(HURRIED_DRAIN_TIMEOUT_MS), ...DRAIN.slice(1)] : DRAIN;
  return hurryWhereStalled(change(service, { ...changes, phase }, drain), now);
}

export function release({ service }: On<Stopping, 'drained'>): Transition {
  if (service.actual.processEnded) return change(service, {});
  return change(service, { phase: 'releasing' }, [setStopTimer(RELEASE_TIMEOUT_MS), { type: 'release' }]);
}

export function processEnded(input: On<Stopping, 'process-ended'>): Transition {
  const { exit, endedBy, failure, phase } = input.service.actual;
  const isUnexpected = phase === 'asking' || phase === 'draining';
  const changes = {
    processEnded: true,
    exit: exit ?? exitOfKilled(input.service.actual, input.event.exit),
    endedBy: endedBy ?? stopStepOf(phase),
    failure: failure ?? (isUnexpected ? explainProcessEnd(input.event, 'unexpectedly') : null),
  };
  return hurryWhereStalled(endWhenComplete(input, changes, [{ type: 'unwatch-metrics' }]), input.now);
}

const STOP_STEPS: { readonly [P in StopPhase]?: EndedBy } = {
  asking: 'stop_signal',
  terminating: 'vm_sigterm',
  killing: 'vm_sigkill',
};

/** Step of a stop that ended a run in this phase; null if the run ended by itself. */
export function stopStepOf(phase: StopPhase): EndedBy | null {
  return STOP_STEPS[phase] ?? null;
}

/**
 * Exit of a command that died with its VM, given as the signal that killed both. Otherwise it is unknown: QEMU exits
 * with status 0 on SIGTERM, whatever its guest was doing.
 */
function exitOfKilled({ phase, startedAtMs }: Stopping, processExit: Exit): Exit | null {
  const isKilled = phase === 'terminating' || phase === 'killing';
  return isKilled && startedAtMs !== null && processExit.signal !== null ? processExit : null;
}

/** Persists first, so that a later daemon that finds the VM gone knows the signal that ended it. */
export function endProcess({ service }: StopInput, phase: 'terminating' | 'killing'): Transition {
  if (service.actual.processEnded) return change(service, {});
  return change(service, { phase }, [{ type: 'persist' }, ...(phase === 'terminating' ? TERMINATE : KILL)]);
}

/** Ends the run once its process and streams have ended; a failed run is inspected first. */
export function endWhenComplete(
  input: StopInput,
  changes: Partial<Stopping>,
  effects: readonly Effect[] = [],
): Transition {
  const stopping: Stopping = { ...input.service.actual, ...changes };
  const service = { ...input.service, actual: stopping };
  if (!stopping.processEnded || !stopping.streamsEnded) return goTo(service, stopping, effects);
  // A run that nobody stopped is explained by its last lines, unless it did what it was meant to do.
  const isOdd = stopping.failure !== null || (stopping.afterStop === 'decide' && stopping.exit?.code !== 0);
  if (isOdd && stopping.pid !== null) {
    const inspect: readonly Effect[] = [{ type: 'cancel-timer', timer: 'stop-timeout' }, { type: 'inspect' }];
    return change(service, { phase: 'inspecting' }, [...effects, ...inspect]);
  }
  const end = finish({ ...input, service }, { lastLines: [], panic: null });
  return { state: end.state, effects: [...effects, ...end.effects] };
}

const CLEAN_UP: readonly Effect[] = [
  ...TIMERS.map((timer): Effect => ({ type: 'cancel-timer', timer })),
  { type: 'end-probes' },
  { type: 'unwatch-metrics' },
  { type: 'conclude' },
];

export function finish(
  { service, now, rules }: StopInput,
  { lastLines, panic }: Pick<EventOf<'inspected'>, 'lastLines' | 'panic'>,
): Transition {
  const { startedAtMs, exit, reason, detail, endedBy } = service.actual;
  const failure = explainCrash(service.actual.failure, panic);
  const facts = { reason: failure?.reason ?? reason, detail, endedBy, startedAtMs, stoppedAtMs: now.ms, lastLines };
  const ended: EndedState = failure
    ? { ...facts, status: 'Failed', error: failure.message, exit }
    : { ...facts, status: 'Stopped', exit: exit ?? UNKNOWN_EXIT };
  return afterRun(service, ended, service.actual, now, rules);
}

/**
 * Panics of a kernel with too little memory: the message says so, or the kernel could not unpack the files that it
 * boots from.
 */
const MEMORY_PANIC = /memory|unable to mount root fs|no working init/i;

/** Adds the kernel's panic line to the failure. Without a panic device that line is the only sign of a panic. */
function explainCrash(failure: Failure | null, panic: string | null): Failure | null {
  if (failure === null || panic === null || !CRASHES.includes(failure.reason)) return failure;
  const remedy = MEMORY_PANIC.test(panic) ? '; give it more ram' : '';
  return { reason: 'guest-panic', message: `the guest's kernel panicked: ${panic}${remedy}` };
}

/** Concludes a run and schedules the next one, if there is one. */
export function afterRun(
  service: ServiceState,
  ended: EndedState,
  { afterStop, wasHealthy }: Pick<Stopping, 'afterStop' | 'wasHealthy'>,
  now: Now,
  rules: Rules,
): Transition {
  const again = (delayMs: number): readonly Effect[] => [...CLEAN_UP, { type: 'schedule-restart', delayMs }];
  if (afterStop === 'start') return goTo({ ...service, restarts: NO_RESTARTS }, ended, again(0));
  if (afterStop === 'stay' || service.desired === 'down') return goTo(service, ended, CLEAN_UP);
  const decision = decideRestart(rules, ended, wasHealthy, service.restarts, now);
  switch (decision.type) {
    case 'stay-down':
      return goTo(service, ended, CLEAN_UP);
    case 'give-up':
      return goTo(service, { ...ended, status: 'Failed', reason: 'gave-up', error: decision.message }, CLEAN_UP);
    case 'restart':
      return goTo({ ...service, restarts: decision.restarts }, ended, again(decision.delayMs));
  }
}
