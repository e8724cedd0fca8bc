/** Handlers for a service that is down, waiting for its next run, or booting. Pure. */
import { UNPROBED } from './health.ts';
import {
  type Effect,
  type EndedState,
  goTo,
  type Input,
  type Launching,
  type MachineEvent,
  NO_RESTARTS,
  type On,
  type Rules,
  type Running,
  type ServiceIn,
  type ServiceState,
  type Transition,
  type Unstarted,
  type Waiting,
} from './states.ts';
import {
  afterRun,
  beginStopping,
  drainAfterExit,
  explainProcessEnd,
  KILL,
  RELEASE_TIMEOUT_MS,
  type StoppingStart,
  setStopTimer,
  TERMINATE,
} from './stopping.ts';

/** Deadline of a boot. A VM boots in seconds; under emulation on a loaded host it may take many times as long. */
export const START_TIMEOUT_MS = 120_000;

export const START_TIMER: Effect = { type: 'set-timer', timer: 'start-timeout', delayMs: START_TIMEOUT_MS };
const CANCEL_LAUNCH: readonly Effect[] = [{ type: 'cancel-launch' }];
const CANCEL_RESTART: Effect = { type: 'cancel-timer', timer: 'restart-due' };

type Down = Unstarted | EndedState;

/**
 * Launches the service. With an image, the boot timer starts when the image is ready, because a download may take any
 * time.
 */
export function launch({ service, rules }: Pick<Input<Down | Waiting, MachineEvent>, 'service' | 'rules'>): Transition {
  return goTo(service, { status: 'Starting', phase: 'preparing', pid: null }, [
    CANCEL_RESTART,
    { type: 'persist' },
    ...(rules.image === null ? [START_TIMER] : []),
    { type: 'launch' },
  ]);
}

export function start({ service, rules }: On<Down | Waiting, 'start'>): Transition {
  return launch({ service: { ...service, restarts: NO_RESTARTS }, rules });
}

export function recover({ service, event, rules }: On<Down, 'recover'>): Transition {
  const { total, inRow } = service.restarts;
  const restarts = { total: total + 1, inRow, lastReason: event.reason };
  return launch({ service: { ...service, restarts }, rules });
}

export function waitForRestart({ service, event, now }: On<EndedState, 'restart-scheduled'>): Transition {
  const resumeAtMs = now.ms + event.delayMs;
  const waiting: Waiting = { status: 'Starting', phase: 'waiting', pid: null, resumeAtMs, last: service.actual };
  return goTo(service, waiting, [{ type: 'set-timer', timer: 'restart-due', delayMs: event.delayMs }]);
}

/** Stops an ended service: otherwise the next daemon would start it, because it counts as wanted up. */
export function stopEnded({ service }: On<EndedState, 'stop'>): Transition {
  return goTo(service, service.actual, service.desired === 'up' ? [{ type: 'persist' }] : []);
}

export function stopWaiting({ service, event }: On<Waiting, 'stop' | 'suspend'>): Transition {
  const save: readonly Effect[] = event.type === 'stop' ? [{ type: 'persist' }] : [];
  return goTo(service, service.actual.last, [CANCEL_RESTART, ...save]);
}

export function imageReady({ service, event }: On<Launching, 'image-ready'>): Transition {
  return goTo({ ...service, image: event.digest }, service.actual, [{ type: 'persist' }, START_TIMER]);
}

/**
 * Saves the identity of the launched VM: otherwise the next daemon would end the VM and start another one. Nothing
 * waits for the disk, because a plain process runs its command at once and a VM within seconds.
 */
export function launched({ service, event }: On<Launching, 'launched'>): Transition {
  return goTo(service, { status: 'Starting', phase: 'booting', pid: event.pid }, [{ type: 'persist-soon' }]);
}

export function launchFailed({ service, event, now, rules }: On<Launching, 'launch-failed'>): Transition {
  const facts = { detail: null, exit: null, endedBy: null, startedAtMs: null, stoppedAtMs: now.ms, lastLines: [] };
  const ended: EndedState = { ...facts, status: 'Failed', reason: 'start-failed', error: event.error };
  const afterStop = event.hostFault ? 'stay' : 'decide';
  return afterRun(service, ended, { afterStop, wasHealthy: false }, now, rules);
}

export function jobStarted({ service, event, now, rules }: On<Launching, 'job-started'>): Transition {
  const { state, effects } = enterStarted(service, event.pid, now.ms, rules);
  return { state, effects: [{ type: 'cancel-timer', timer: 'start-timeout' }, { type: 'persist' }, ...effects] };
}

/** Starts measuring and probing a running command. @param pid process to show and to measure */
export function enterStarted(service: ServiceState, pid: number, startedAtMs: number, rules: Rules): Transition {
  const health = rules.healthcheck ? UNPROBED : null;
  const probe: readonly Effect[] = health ? [{ type: 'probe' }] : [];
  const running: Running = { status: 'Started', pid, startedAtMs, health, overMemorySamples: 0 };
  return goTo(service, running, [{ type: 'watch-metrics', pid }, ...probe]);
}

/** Shuts down a failed start. */
function fail(
  service: ServiceIn<Launching>,
  start: Pick<StoppingStart, 'phase' | 'failure' | 'processEnded'>,
  effects: readonly Effect[],
): Transition {
  const { pid } = service.actual;
  return beginStopping(service, { pid, reason: 'start-failed', afterStop: 'decide', ...start }, effects);
}

export function jobFailed({ service, event }: On<Launching, 'job-failed'>): Transition {
  const failure = { reason: 'command-failed', message: event.error } as const;
  return fail(service, { phase: 'failing', failure }, [setStopTimer(RELEASE_TIMEOUT_MS)]);
}

/** Handles the end of a command whose `job-started` event was missed. */
export function jobExitedEarly({ service, event, now }: On<Launching, 'job-exited'>): Transition {
  return drainAfterExit(service, { pid: service.actual.pid, startedAtMs: now.ms, wasHealthy: false }, event, []);
}

export function processEndedEarly({ service, event }: On<Launching, 'process-ended'>): Transition {
  const failure = explainProcessEnd(event, 'before the command ran');
  return fail(service, { phase: 'releasing', processEnded: true, failure }, []);
}

export function timeOut({ service }: On<Launching, 'start-timeout'>): Transition {
  const message = `the VM was not ready in ${START_TIMEOUT_MS / 1000} s`;
  const start = { phase: 'killing', failure: { reason: 'boot-timeout', message } } as const;
  return fail(service, start, service.actual.phase === 'preparing' ? CANCEL_LAUNCH : [{ type: 'examine' }, ...KILL]);
}

/** Stops a launch. No command is running yet, so there is nothing to end gracefully. */
export function stop({ service }: On<Launching, 'stop' | 'suspend'>): Transition {
  const { pid, phase } = service.actual;
  const start = { pid, reason: 'stopped', afterStop: 'stay' } as const;
  return phase === 'preparing'
    ? beginStopping(service, { ...start, phase: 'cancelling' }, CANCEL_LAUNCH)
    : beginStopping(service, { ...start, phase: 'terminating' }, TERMINATE);
}
