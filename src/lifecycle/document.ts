/** A service's state as it is stored and as it is shown. Pure. */
import { isoTime } from '../clock.ts';
import { type Group, type Metrics, NO_METRICS, type Service, type ServiceStatus } from '../protocol/service.ts';
import type { StateDocument } from '../protocol/state-document.ts';
import type { Exit, ProcessIdentity } from '../vm/driver.ts';
import type { StopPhase, VmState } from './state.ts';

/** What does not change while a supervisor lives. */
export interface ServiceDefinition {
  readonly service: Service;
  readonly group: Group | null;
  /** Address of the group, 127.0.0.2 to 127.0.0.254; null without a group. */
  readonly groupIp: string | null;
  /** Kernel image that the config names, or null. */
  readonly kernel: string | null;
}

/** Everything that is known of a service. */
export interface Snapshot extends ServiceDefinition {
  readonly state: VmState;
  readonly identity: ProcessIdentity | null;
  readonly metrics: Metrics;
  readonly createdAtMs: number;
  readonly restarts: number;
  /** Why what it prints cannot be written at the moment; null while it can. */
  readonly logStalled: string | null;
}

const STOP_DETAILS: Record<StopPhase, string> = {
  cancelling: 'calling the start off',
  asking: 'waiting for the command to end',
  failing: 'giving up the guest',
  draining: 'reading what it printed last',
  releasing: 'powering off',
  terminating: 'ending the VM process',
  killing: 'killing the VM process',
};

function describeWork(state: VmState): string | null {
  if (state.status === 'Starting') return state.phase;
  return state.status === 'Stopping' ? STOP_DETAILS[state.phase] : null;
}

function storeStatus(state: VmState): StateDocument['status'] {
  if (state.status === 'Stopped') return { Stopped: { exit_code: state.exit.code } };
  return state.status === 'Failed' ? { Failed: { error: state.error } } : state.status;
}

function exitOf(state: VmState): Exit | null {
  return 'exit' in state ? state.exit : null;
}

function timesOf(state: VmState): { started_at: string | null; stopped_at: string | null } {
  const startedAtMs = 'startedAtMs' in state ? state.startedAtMs : null;
  const stoppedAtMs = 'stoppedAtMs' in state ? state.stoppedAtMs : null;
  return {
    started_at: startedAtMs === null ? null : isoTime(startedAtMs),
    stopped_at: stoppedAtMs === null ? null : isoTime(stoppedAtMs),
  };
}

function pidOf(state: VmState): number | null {
  return 'pid' in state ? state.pid : null;
}

/** The content of the state file. */
export function renderDocument(snapshot: Snapshot, nowMs: number): StateDocument {
  const { service, group, groupIp, kernel, state, identity, metrics, createdAtMs, restarts } = snapshot;
  return {
    pid: pidOf(state),
    created_at: isoTime(createdAtMs),
    modified_at: isoTime(nowMs),
    service,
    group,
    rootfs_path: service.rootfs,
    status: storeStatus(state),
    metrics,
    group_ip: groupIp,
    kernel,
    process: identity,
    ...timesOf(state),
    exit: exitOf(state),
    restarts,
  };
}

/** Address that the service's ports are bound to on the host. */
export function addressOf({ groupIp }: ServiceDefinition): string {
  return groupIp ?? '127.0.0.1';
}

/** The row of `monocore status`. */
export function renderStatus(snapshot: Snapshot): ServiceStatus {
  const { service, groupIp, state, metrics, restarts, logStalled } = snapshot;
  const exit = exitOf(state);
  return {
    name: service.name,
    group: service.group,
    isolation: service.isolation,
    status: state.status,
    pid: pidOf(state),
    exit_code: exit?.code ?? null,
    signal: exit?.signal ?? null,
    error: state.status === 'Failed' ? state.error : null,
    detail: describeWork(state),
    log_stalled: logStalled,
    group_ip: groupIp,
    cpus: service.cpus,
    ram_mib: service.ram_mib,
    addresses: service.ports.map((port) => `http://${addressOf(snapshot)}:${port.host}`),
    ...timesOf(state),
    restarts,
    metrics,
  };
}

/**
 * The document of a service whose process ended while no daemon ran.
 *
 * @param exit from the exit record; null when the command did not end in order
 */
export function markGone(document: StateDocument, exit: Exit | null, nowMs: number): StateDocument {
  const known = exit ?? document.exit;
  const wasStopping = document.status === 'Stopping';
  const status: StateDocument['status'] =
    known || wasStopping
      ? { Stopped: { exit_code: known?.code ?? null } }
      : { Failed: { error: 'its process ended while no daemon ran' } };
  return {
    ...document,
    status,
    exit: known,
    pid: null,
    process: null,
    metrics: NO_METRICS,
    stopped_at: isoTime(nowMs),
  };
}

/** The state of a service that has ended, from its stored document; `Unstarted` for any other. */
export function endedState(document: StateDocument): VmState {
  const { status, exit, started_at, stopped_at } = document;
  const startedAtMs = started_at === null ? null : Date.parse(started_at);
  const stoppedAtMs = stopped_at === null ? Date.parse(document.modified_at) : Date.parse(stopped_at);
  if (typeof status === 'string') return { status: 'Unstarted' };
  if ('Failed' in status) return { status: 'Failed', error: status.Failed.error, exit, startedAtMs, stoppedAtMs };
  const known = exit ?? { code: status.Stopped.exit_code, signal: null };
  return { status: 'Stopped', exit: known, startedAtMs, stoppedAtMs };
}
