/**
 * The lifecycle of one service as a pure function. Every (state, event) pair is named below and in `stopping.ts`; a pair
 * that changes nothing says why it can come.
 */
import { ignore, move } from './moves.ts';
import { begin, exited, fromStarted } from './running.ts';
import {
  type Effect,
  type EndedState,
  type MachineEvent,
  NO_RESTARTS,
  type Now,
  type Rules,
  type ServiceState,
  type Transition,
  type VmState,
  type Waiting,
} from './states.ts';
import {
  beginStopping,
  explainProcessEnd,
  followUp,
  fromStopping,
  KILL,
  RELEASE_TIMEOUT_MS,
  type StoppingStart,
  setStopTimer,
  TERMINATE_TIMEOUT_MS,
} from './stopping.ts';

/** A VM boots in seconds; under emulation on a loaded host it may take many times as long. */
export const START_TIMEOUT_MS = 120_000;

type Launching = Extract<VmState, { status: 'Starting'; phase: 'preparing' | 'booting' }>;

const START_TIMER: Effect = { type: 'set-timer', timer: 'start', delayMs: START_TIMEOUT_MS };

/** The time for a boot begins when the image is there: nobody knows how long a download takes. */
function start(service: ServiceState, { image }: Rules): Transition {
  return move(service, { status: 'Starting', phase: 'preparing', pid: null }, [
    { type: 'cancel-timer', timer: 'restart' },
    { type: 'persist' },
    ...(image === null ? [START_TIMER] : []),
    { type: 'launch' },
  ]);
}

function fromEnded(
  service: ServiceState,
  actual: EndedState | { status: 'Unstarted' },
  before: ServiceState,
  event: MachineEvent,
  now: Now,
  rules: Rules,
): Transition {
  switch (event.type) {
    case 'start':
      return start({ ...service, restarts: NO_RESTARTS }, rules);
    case 'revive': {
      const { total, inRow } = service.restarts;
      return start({ ...service, restarts: { total: total + 1, inRow, lastReason: event.reason } }, rules);
    }
    case 'again': {
      if (event.delayMs === 0 || actual.status === 'Unstarted') return start(service, rules);
      const waiting: Waiting = {
        status: 'Starting',
        phase: 'waiting',
        pid: null,
        resumeAtMs: now.ms + event.delayMs,
        last: actual,
      };
      return move(service, waiting, [{ type: 'set-timer', timer: 'restart', delayMs: event.delayMs }]);
    }
    case 'stop':
      // It is down already; but the next daemon would start what should be up.
      return before.desired === 'up' && actual.status !== 'Unstarted'
        ? move(service, actual, [{ type: 'persist' }])
        : ignore(service);
    case 'suspend': // It is down already.
    case 'image-ready': // The rest cannot come: nothing runs. A late timer or event of the last run means nothing.
    case 'launched':
    case 'launch-failed':
    case 'job-started':
    case 'job-failed':
    case 'job-exited':
    case 'drained':
    case 'process-ended':
    case 'streams-ended':
    case 'inspected':
    case 'probed':
    case 'memory-sampled':
    case 'timer':
      return ignore(service);
  }
}

function fromWaiting(service: ServiceState, waiting: Waiting, event: MachineEvent, rules: Rules): Transition {
  switch (event.type) {
    case 'start':
      return start({ ...service, restarts: NO_RESTARTS }, rules);
    case 'stop':
      return move(service, waiting.last, [{ type: 'cancel-timer', timer: 'restart' }, { type: 'persist' }]);
    case 'suspend':
      return move(service, waiting.last, [{ type: 'cancel-timer', timer: 'restart' }]);
    case 'timer':
      return event.timer === 'restart' ? start(service, rules) : ignore(service);
    case 'revive': // It waits already.
    case 'again':
    case 'image-ready': // Nothing runs, as above.
    case 'launched':
    case 'launch-failed':
    case 'job-started':
    case 'job-failed':
    case 'job-exited':
    case 'drained':
    case 'process-ended':
    case 'streams-ended':
    case 'inspected':
    case 'probed':
    case 'memory-sampled':
      return ignore(service);
  }
}

function fromLaunching(
  service: ServiceState,
  { pid, phase }: Launching,
  event: MachineEvent,
  now: Now,
  rules: Rules,
): Transition {
  const fail = (from: Pick<StoppingStart, 'phase' | 'failure' | 'processEnded'>, effects: readonly Effect[]) =>
    beginStopping(service, { pid, reason: 'start-failed', sequel: 'decide', ...from }, effects);
  switch (event.type) {
    case 'start': // It is on its way.
    case 'revive':
      return ignore(service);
    case 'image-ready':
      return move({ ...service, image: event.digest }, { status: 'Starting', phase, pid }, [
        { type: 'persist' },
        START_TIMER,
      ]);
    case 'launched':
      // A plain process runs its command at once, a VM in seconds. Without this the next daemon would end it and start anew.
      return move(service, { status: 'Starting', phase: 'booting', pid: event.pid }, [{ type: 'persist-soon' }]);
    case 'launch-failed': {
      const ended: EndedState = {
        ...{ status: 'Failed', error: event.error, reason: 'start-failed', detail: null },
        ...{ exit: null, endedBy: null, startedAtMs: null, stoppedAtMs: now.ms, lastLines: [] },
      };
      return followUp(service, ended, 'decide', false, now, rules);
    }
    case 'job-started':
      return begin(service, event.pid, now.ms, rules);
    case 'job-failed':
      return fail({ phase: 'failing', failure: { reason: 'command-failed', message: event.error } }, [
        setStopTimer(RELEASE_TIMEOUT_MS),
      ]);
    case 'job-exited': // The report of its start was missed.
      return exited(service, { pid, startedAtMs: now.ms, wasHealthy: false }, event, []);
    case 'process-ended': {
      const failure = explainProcessEnd(event, 'before the command ran');
      return fail({ phase: 'releasing', processEnded: true, failure }, []);
    }
    case 'stop':
    case 'suspend': {
      // No command runs yet, so nothing is there to be ended in order.
      const stopped = { pid, reason: 'stopped', sequel: 'stay' } as const;
      return phase === 'preparing'
        ? beginStopping(service, { ...stopped, phase: 'cancelling' }, [{ type: 'cancel-launch' }])
        : beginStopping(service, { ...stopped, phase: 'terminating' }, [
            setStopTimer(TERMINATE_TIMEOUT_MS),
            { type: 'kill', signal: 'SIGTERM' },
          ]);
    }
    case 'timer': {
      if (event.timer !== 'start') return ignore(service);
      const message = `the VM was not ready in ${START_TIMEOUT_MS / 1000} s`;
      return fail(
        { phase: 'killing', failure: { reason: 'boot-timeout', message } },
        phase === 'preparing' ? [{ type: 'cancel-launch' }] : KILL,
      );
    }
    case 'streams-ended': // Comes after the end of the process.
    case 'again': // The rest belongs to a command that runs, or to a run before.
    case 'drained':
    case 'inspected':
    case 'probed':
    case 'memory-sampled':
      return ignore(service);
  }
}

function desiredAfter(desired: ServiceState['desired'], event: MachineEvent): ServiceState['desired'] {
  if (event.type === 'start' || event.type === 'revive') return 'up';
  return event.type === 'stop' ? 'down' : desired;
}

/** What `event` makes of a service, and what is to be done about it, in order. Pure. */
export function transition(before: ServiceState, event: MachineEvent, now: Now, rules: Rules): Transition {
  const service: ServiceState = { ...before, desired: desiredAfter(before.desired, event) };
  const { actual } = service;
  switch (actual.status) {
    case 'Unstarted':
    case 'Stopped':
    case 'Failed':
      return fromEnded(service, actual, before, event, now, rules);
    case 'Starting':
      return actual.phase === 'waiting'
        ? fromWaiting(service, actual, event, rules)
        : fromLaunching(service, actual, event, now, rules);
    case 'Started':
      return fromStarted(service, actual, event, now, rules);
    case 'Stopping':
      return fromStopping({ ...service, actual }, event, now, rules);
  }
}
