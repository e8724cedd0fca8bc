/**
 * Lifecycle of one service as a table: for every state and every event, a step or the reason to ignore the event.
 * `monocore help states` prints it; `starting.ts`, `running.ts` and `stopping.ts` contain the handlers. Pure.
 */
import * as running from './running.ts';
import * as starting from './starting.ts';
import {
  type EndedState,
  type EventOf,
  goTo,
  type Input,
  type Launching,
  type MachineEvent,
  type MachineEventType,
  type Now,
  nameState,
  type Rules,
  type Running,
  type ServiceState,
  type StateName,
  type Stopping,
  type Transition,
  type Unstarted,
  type VmState,
  type Waiting,
} from './states.ts';
import * as stopping from './stopping.ts';

/** Reaction to an event: a handler, the states that it may lead to, and its purpose for readers of the table. */
export interface Step<S extends VmState = VmState, E extends MachineEvent = MachineEvent> {
  readonly to: readonly (StateName | 'same')[];
  readonly does: string;
  /** Handles the event. Declared as a method, so that rows with different state and event types fit into one table. */
  handle(input: Input<S, E>): Transition;
}

/** Reason to ignore an event, as a sentence; only `desired` may change. */
export interface Ignored {
  readonly ignored: string;
}

type Row<S extends VmState> = { readonly [T in MachineEventType]: Step<S, EventOf<T>> | Ignored };

/** Rows for events that a state ignores for the same reason. */
function ignore<T extends MachineEventType>(reason: string, ...types: readonly T[]): { readonly [K in T]: Ignored } {
  const ignored: Ignored = { ignored: reason };
  return Object.fromEntries(types.map((type) => [type, ignored])) as { [K in T]: Ignored };
}

function step<S extends VmState, E extends MachineEvent>(
  to: Step['to'][number] | Step['to'],
  does: string,
  handle: (input: Input<S, E>) => Transition,
): Step<S, E> {
  return { to: typeof to === 'string' ? [to] : to, does, handle };
}

const ABOUT_A_LAUNCH = ['image-ready', 'launched', 'launch-failed'] as const;
const ABOUT_A_RUN = [
  ...ABOUT_A_LAUNCH,
  ...['job-started', 'job-failed', 'job-exited', 'drained', 'process-ended', 'streams-ended', 'inspected'],
  ...['probed', 'memory-sampled', 'log-stalled', 'start-timeout', 'stop-timeout', 'probe-due'],
] as const;

const LAUNCH_ASKED = step('Starting/preparing', 'launches it and resets the restart count', starting.start);
const LAUNCH_RECOVERED = step('Starting/preparing', 'launches it and counts a restart', starting.recover);
const LAUNCH_DUE = step('Starting/preparing', 'launches it', starting.launch);

const UNSTARTED: Row<Unstarted> = {
  start: LAUNCH_ASKED,
  recover: LAUNCH_RECOVERED,
  ...ignore('The service is down already.', 'stop', 'suspend'),
  ...ignore('No run has ended.', 'restart-scheduled', 'restart-due'),
  ...ignore('There has been no run.', ...ABOUT_A_RUN),
};

const ENDED: Row<EndedState> = {
  start: LAUNCH_ASKED,
  recover: LAUNCH_RECOVERED,
  'restart-due': LAUNCH_DUE,
  'restart-scheduled': step('Starting/waiting', 'waits for the back-off delay', starting.waitForRestart),
  stop: step('same', 'saves that it must stay down', starting.stopEnded),
  ...ignore('The service is down already.', 'suspend'),
  ...ignore('The run is over.', ...ABOUT_A_RUN),
};

const WAITING: Row<Waiting> = {
  start: LAUNCH_ASKED,
  'restart-due': LAUNCH_DUE,
  stop: step(['Stopped', 'Failed'], 'cancels the restart and saves that it must stay down', starting.stopWaiting),
  suspend: step(['Stopped', 'Failed'], 'cancels the restart', starting.stopWaiting),
  ...ignore('A restart is scheduled already.', 'recover', 'restart-scheduled'),
  ...ignore('The run is over.', ...ABOUT_A_RUN),
};

const LAUNCHING = {
  'job-started': step('Started', 'begins to measure and to probe it', starting.jobStarted),
  'job-failed': step('Stopping/failing', 'gives the guest time to power off', starting.jobFailed),
  'job-exited': step('Stopping/draining', 'reads the last output', starting.jobExitedEarly),
  'process-ended': step('Stopping/releasing', 'waits for the streams to end', starting.processEndedEarly),
  ...ignore('The service is starting already.', 'start', 'recover'),
  ...ignore('No run has ended.', 'restart-scheduled', 'restart-due'),
  ...ignore('The VM process must have ended first.', 'streams-ended', 'inspected'),
  ...ignore('The service waits for the disk.', 'log-stalled'),
  ...ignore('It is left over from the last run.', 'drained', 'probed', 'memory-sampled', 'stop-timeout', 'probe-due'),
} satisfies Partial<Row<Launching>>;

const PREPARING: Row<Launching> = {
  ...LAUNCHING,
  'image-ready': step('same', 'starts the boot timer', starting.imageReady),
  launched: step('Starting/booting', 'saves the process', starting.launched),
  'launch-failed': step(
    'Failed',
    'cleans up; the restart policy decides, unless the host lacks a requirement',
    starting.launchFailed,
  ),
  stop: step('Stopping/cancelling', 'cancels the launch', starting.stop),
  suspend: step('Stopping/cancelling', 'cancels the launch', starting.stop),
  'start-timeout': step('Stopping/killing', 'cancels the launch', starting.timeOut),
};

const BOOTING: Row<Launching> = {
  ...LAUNCHING,
  stop: step('Stopping/terminating', 'sends SIGTERM to the VM process', starting.stop),
  suspend: step('Stopping/terminating', 'sends SIGTERM to the VM process', starting.stop),
  'start-timeout': step('Stopping/killing', 'sends SIGKILL to the VM process', starting.timeOut),
  ...ignore('The VM process exists already.', ...ABOUT_A_LAUNCH),
};

const RUNNING: Row<Running> = {
  stop: step('Stopping/asking', 'sends the stop signal to the command', running.stop),
  suspend: step('Stopping/asking', 'sends the stop signal to the command', running.stop),
  'job-exited': step('Stopping/draining', 'reads the last output', running.jobExited),
  'process-ended': step('Stopping/releasing', 'waits for the streams to end', running.processEnded),
  probed: step(['same', 'Stopping/asking'], 'updates its health; unhealthy may mean a restart', running.probed),
  'probe-due': step('same', 'probes it', ({ service }) => goTo(service, service.actual, [{ type: 'probe' }])),
  'memory-sampled': step(['same', 'Stopping/asking'], 'restarts it above max_memory', running.memorySampled),
  ...ignore('The service runs already.', 'start', 'recover', ...ABOUT_A_LAUNCH, 'start-timeout'),
  ...ignore('A new connection to the guest reports it again.', 'job-started'),
  ...ignore('The command did start.', 'job-failed'),
  ...ignore('It belongs to a stop.', 'drained', 'inspected', 'stop-timeout'),
  ...ignore('The service waits for the disk.', 'log-stalled'),
  ...ignore('The VM process must have ended first.', 'streams-ended'),
  ...ignore('No run has ended.', 'restart-scheduled', 'restart-due'),
};

/** States to which the end of the process or of the streams may lead during a stop. */
const ENDS: Step['to'] = ['same', 'Stopping/inspecting', 'Stopped', 'Failed'];

const START_AGAIN = step<Stopping, EventOf<'start' | 'recover'>>('same', 'starts it again after this stop', (input) =>
  stopping.change(input.service, { afterStop: 'start' }, [{ type: 'persist' }]),
);
const STOP_AGAIN = step('same', 'keeps it down after this stop; may shorten the stop', stopping.stopAgain);
const KILL = step<Stopping, EventOf<'stop-timeout'>>(
  ['same', 'Stopping/killing'],
  'sends SIGKILL to the VM process if it exists',
  (input) => stopping.endProcess(input, 'killing'),
);
const FAIL = step(
  ['same', 'Stopping/inspecting', 'Failed'],
  'fails the run once the streams have ended, too',
  stopping.processEnded,
);
const DRAIN = step<Stopping, EventOf<'job-exited'>>('Stopping/draining', 'reads the last output', (input) =>
  stopping.noteExit(input, 'draining'),
);

const STOPPING: Row<Stopping> = {
  start: START_AGAIN,
  recover: START_AGAIN,
  stop: STOP_AGAIN,
  suspend: STOP_AGAIN,
  'job-exited': step('same', 'keeps the exit of the command', stopping.noteExit),
  'process-ended': step(ENDS, 'ends the run once the streams have ended, too', stopping.processEnded),
  'streams-ended': step(ENDS, 'ends the run once the process has ended, too', (input) =>
    stopping.endWhenComplete(input, { streamsEnded: true }),
  ),
  'log-stalled': step('same', 'waits less for the disk if a user is waiting for the stop', stopping.logStalled),
  'stop-timeout': step(['same', 'Stopping/terminating'], 'sends SIGTERM to the VM process if it exists', (input) =>
    stopping.endProcess(input, 'terminating'),
  ),
  ...ignore('The VM process exists already.', 'launched', 'launch-failed'),
  ...ignore('The stop came first.', 'image-ready', 'job-started', 'job-failed', 'start-timeout'),
  ...ignore('The service is stopping already.', 'probed', 'memory-sampled', 'probe-due'),
  ...ignore('It belongs to another phase.', 'drained', 'inspected'),
  ...ignore('The run has not ended yet.', 'restart-scheduled', 'restart-due'),
};

const CANCELLING: Row<Stopping> = {
  ...STOPPING,
  launched: step('Stopping/killing', 'sends SIGKILL to the VM process', stopping.killLaunched),
  'launch-failed': step(['Stopped', 'Failed'], 'ends the run', (input) =>
    stopping.endWhenComplete(input, { processEnded: true, streamsEnded: true }),
  ),
  ...ignore('There is no VM process to end.', 'stop-timeout'),
};

const INSPECTING: Row<Stopping> = {
  ...STOPPING,
  inspected: step(['Stopped', 'Failed'], 'ends the run with its last lines', (input) =>
    stopping.finish(input, input.event),
  ),
  ...ignore(
    'Process and streams have ended.',
    'job-exited',
    'process-ended',
    'streams-ended',
    'log-stalled',
    'stop-timeout',
  ),
};

/** Next step, or the reason to ignore the event, for each state and event. */
export const MACHINE = {
  Unstarted: UNSTARTED,
  'Starting/preparing': PREPARING,
  'Starting/booting': BOOTING,
  Started: RUNNING,
  'Stopping/cancelling': CANCELLING,
  'Stopping/asking': { ...STOPPING, 'job-exited': DRAIN, 'process-ended': FAIL },
  'Stopping/failing': { ...STOPPING, 'job-exited': DRAIN },
  'Stopping/draining': {
    ...STOPPING,
    'process-ended': FAIL,
    drained: step(['same', 'Stopping/releasing'], 'lets the guest power off', stopping.release),
  },
  'Stopping/releasing': STOPPING,
  'Stopping/terminating': { ...STOPPING, 'stop-timeout': KILL },
  'Stopping/killing': {
    ...STOPPING,
    'stop-timeout': KILL,
    launched: CANCELLING.launched,
    'launch-failed': CANCELLING['launch-failed'],
  },
  'Stopping/inspecting': INSPECTING,
  Stopped: ENDED,
  Failed: ENDED,
  'Starting/waiting': WAITING,
} satisfies Record<StateName, Record<MachineEventType, Step | Ignored>>;

/** Meaning of each state, for `monocore help states`. */
export const STATES: Readonly<Record<StateName, string>> = {
  Unstarted: 'the service has not run yet',
  'Starting/preparing': 'the image is fetched, and the VM is being made',
  'Starting/booting': 'the VM process exists, and its guest boots',
  Started: 'the command runs',
  'Stopping/cancelling': 'a launch is being cancelled',
  'Stopping/asking': 'the command got its stop signal',
  'Stopping/failing': 'the command could not be run, and the guest powers off',
  'Stopping/draining': 'the command has ended, and its last output is being read',
  'Stopping/releasing': 'all output has arrived, and the guest powers off',
  'Stopping/terminating': 'the VM process got SIGTERM',
  'Stopping/killing': 'the VM process got SIGKILL',
  'Stopping/inspecting': 'the last lines of a failed run are being read',
  Stopped: 'the run has ended normally',
  Failed: 'the run has failed',
  'Starting/waiting': 'the next run waits for its back-off delay',
};

/** Meaning of each event, for `monocore help states`. */
export const EVENTS: Readonly<Record<MachineEventType, string>> = {
  start: 'a user wants the service up',
  stop: 'a user wants the service down',
  suspend: 'the daemon ends, and the user still wants the service up',
  recover: 'a daemon has started, and the restart policy wants the service up',
  'image-ready': 'the image is ready to boot from',
  launched: 'the VM process exists',
  'launch-failed': 'the VM could not be launched, or its launch was cancelled',
  'job-started': 'the command runs',
  'job-failed': 'the command could not be run',
  'job-exited': 'the command has ended',
  drained: 'all output of the command is in the log files',
  'process-ended': 'the VM process has ended',
  'streams-ended': 'stdout, stderr and the console are closed',
  inspected: 'the last lines were read',
  probed: 'a health probe was answered',
  'memory-sampled': 'the memory of the process was measured',
  'log-stalled': 'a log of the service cannot be written',
  'start-timeout': 'the VM is not ready in time',
  'stop-timeout': 'a step of the stop takes too long',
  'probe-due': 'the next health probe is due',
  'restart-scheduled': 'the restart policy wants another run after a delay',
  'restart-due': 'the next run is due',
};

const WISHES: { readonly [T in MachineEventType]?: 'up' | 'down' } = { start: 'up', recover: 'up', stop: 'down' };

/** Next state of a service after `event`, and the effects on the way, in order. Pure. */
export function transition(service: ServiceState, event: MachineEvent, now: Now, rules: Rules): Transition {
  const cell: Step | Ignored = MACHINE[nameState(service.actual)][event.type];
  const { state, effects } =
    'ignored' in cell ? { state: service, effects: [] } : cell.handle({ service, event, now, rules });
  return { state: { ...state, desired: WISHES[event.type] ?? state.desired }, effects };
}
