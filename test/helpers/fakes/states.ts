/** States of a service, with defaults for what a test does not care about. */
import {
  type EndedState,
  NO_RESTARTS,
  type Running,
  type ServiceState,
  type Stopping,
  type VmState,
} from '../../../src/supervisor/states.ts';

/** A service in a state that the user wants up. */
export function serviceState(actual: VmState, data: Partial<ServiceState> = {}): ServiceState {
  return { desired: 'up', actual, restarts: NO_RESTARTS, ...data };
}

export function started(data: Partial<Running> = {}): Running {
  return { status: 'Started', pid: 7, startedAtMs: 0, health: null, overMemorySamples: 0, ...data };
}

/** A service that was told to stop. */
export function stopping(phase: Stopping['phase'], data: Partial<Stopping> = {}): Stopping {
  return {
    status: 'Stopping',
    phase,
    pid: 7,
    startedAtMs: 0,
    exit: null,
    reason: 'stopped',
    detail: null,
    endedBy: null,
    failure: null,
    wasHealthy: false,
    processEnded: false,
    streamsEnded: false,
    isHurried: false,
    afterStop: 'stay',
    ...data,
  };
}

const COMMON = { detail: null, endedBy: null, startedAtMs: 0, stoppedAtMs: 0, lastLines: [] } as const;

/** A run that ended by itself with exit code 0. */
export function stopped(data: Partial<Extract<EndedState, { status: 'Stopped' }>> = {}): EndedState {
  return { ...COMMON, status: 'Stopped', reason: 'exited', exit: { code: 0, signal: null }, ...data };
}

/** A run that could not be launched. */
export function failed(data: Partial<Extract<EndedState, { status: 'Failed' }>> = {}): EndedState {
  return { ...COMMON, status: 'Failed', reason: 'start-failed', error: 'no room', exit: null, ...data };
}
