/** A service's state as it is stored and as it is shown. Pure. */
import { isoTime } from '../lib/clock.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import {
  type EndedBy,
  type Group,
  type Metrics,
  NO_METRICS,
  type Service,
  type ServiceStatus,
} from '../protocol/service.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { Exit } from '../vm/backend.ts';
import type { EndedState, RestartHistory, ServiceState, StopPhase, VmState } from './states.ts';
import { rungOf } from './stopping.ts';

/** What does not change while a supervisor lives. */
export interface ServiceDefinition {
  readonly service: Service;
  readonly group: Group | null;
  /** Address of the group, 127.0.0.2 to 127.0.0.254; null without a group. */
  readonly groupIp: string | null;
  /** The VM's place in the network of its group, or in one of its own, see `protocol/network.ts`; null for none. */
  readonly groupIndex?: number | null;
  /** Kernel image that the config names, or null. */
  readonly kernel: string | null;
}

/** What a service waits for beside its own, for people; null what it does not. */
export interface Hindrances {
  /** Why what it prints cannot be written. */
  readonly logStalled: string | null;
  /** Why its VM stands still. */
  readonly paused: string | null;
  /** What is being done for its image, and that a VM with one waits for its turn to boot. */
  readonly preparing: string | null;
  /** What its start waits for. */
  readonly queued: string | null;
}

export const UNHINDERED: Hindrances = Object.freeze({ logStalled: null, paused: null, preparing: null, queued: null });

/** Everything that is known of a service. */
export interface Snapshot {
  readonly definition: ServiceDefinition;
  readonly hindrances: Hindrances;
  readonly state: ServiceState;
  readonly identity: ProcessIdentity | null;
  readonly metrics: Metrics;
  readonly createdAtMs: number;
  /** When the launch of the run began; null before the first one. */
  readonly launchedAtMs: number | null;
  /** What the host does not offer of what the service asked for. */
  readonly notes: readonly string[];
}

const STOP_DETAILS: Record<StopPhase, string> = {
  cancelling: 'calling the start off',
  asking: 'waiting for the command to end',
  failing: 'giving up the guest',
  draining: 'reading what it printed last',
  releasing: 'powering off',
  terminating: 'ending the VM process',
  killing: 'killing the VM process',
  inspecting: 'looking up why it ended',
};

function describeWork(state: VmState): string | null {
  if (state.status === 'Starting') return state.phase === 'waiting' ? 'waiting to be restarted' : state.phase;
  return state.status === 'Stopping' ? STOP_DETAILS[state.phase] : null;
}

function storeStatus(state: VmState): SavedState['status'] {
  if (state.status === 'Stopped') return { Stopped: { exit_code: state.exit.code } };
  return state.status === 'Failed' ? { Failed: { error: state.error } } : state.status;
}

/** The last run, where it is over: also while the next one waits. */
export function lastRun(state: VmState): EndedState | null {
  if (state.status === 'Stopped' || state.status === 'Failed') return state;
  return state.status === 'Starting' && state.phase === 'waiting' ? state.last : null;
}

function exitOf(state: VmState): Exit | null {
  return state.status === 'Stopping' ? state.exit : (lastRun(state)?.exit ?? null);
}

function isoTimeOrNull(epochMs: number | null | undefined): string | null {
  return epochMs == null ? null : isoTime(epochMs);
}

function startedAt(state: VmState): string | null {
  return isoTimeOrNull('startedAtMs' in state ? state.startedAtMs : lastRun(state)?.startedAtMs);
}

function stoppedAt(state: VmState): string | null {
  return isoTimeOrNull(lastRun(state)?.stoppedAtMs);
}

function pidOf(state: VmState): number | null {
  return 'pid' in state ? state.pid : null;
}

/** What makes it end that was not asked, or did not listen. */
function killerOf({ phase }: Extract<VmState, { status: 'Stopping' }>): EndedBy | null {
  return phase === 'terminating' || phase === 'killing' ? rungOf(phase) : null;
}

/** Why the run ends or ended. */
function endOf(state: VmState): Pick<SavedState, 'reason' | 'ended_by' | 'reason_detail'> {
  if (state.status === 'Stopping') {
    const reason = state.failure?.reason ?? state.reason;
    return { reason, ended_by: state.endedBy ?? killerOf(state), reason_detail: state.detail };
  }
  const ended = lastRun(state);
  return { reason: ended?.reason ?? null, ended_by: ended?.endedBy ?? null, reason_detail: ended?.detail ?? null };
}

/** The content of the state file. Written without spreads, as the status is: each start renders them many times. */
export function renderDocument(snapshot: Snapshot, nowMs: number): SavedState {
  const { definition, state, identity, metrics, createdAtMs, launchedAtMs } = snapshot;
  const { service, group, groupIp, groupIndex = null, kernel } = definition;
  const { actual, desired, restarts, image = null } = state;
  const { reason, ended_by, reason_detail } = endOf(actual);
  return {
    pid: pidOf(actual),
    created_at: isoTime(createdAtMs),
    modified_at: isoTime(nowMs),
    service,
    group,
    rootfs_path: service.rootfs,
    image_digest: image,
    status: storeStatus(actual),
    metrics,
    group_ip: groupIp,
    group_index: groupIndex,
    kernel,
    process: identity,
    started_at: startedAt(actual),
    stopped_at: stoppedAt(actual),
    exit: exitOf(actual),
    desired,
    restarts: restarts.total,
    restarts_in_row: restarts.inRow,
    last_restart_reason: restarts.lastReason,
    launched_at: isoTimeOrNull(launchedAtMs),
    reason,
    ended_by,
    reason_detail,
    last_lines: [...(lastRun(actual)?.lastLines ?? [])],
  };
}

/** Address that the service's ports are bound to on the host. */
export function addressOf({ groupIp }: ServiceDefinition): string {
  return groupIp ?? '127.0.0.1';
}

/** The row of `monocore status`. */
export function renderStatus(snapshot: Snapshot): ServiceStatus {
  const { definition, hindrances, state, metrics, notes } = snapshot;
  const { service, groupIp } = definition;
  const { logStalled, paused, preparing, queued } = hindrances;
  const { actual, desired, restarts } = state;
  const exit = exitOf(actual);
  const ended = lastRun(actual);
  const health = actual.status === 'Started' ? actual.health : null;
  const { reason, ended_by } = endOf(actual);
  return {
    name: service.name,
    replica_of: service.replica_of,
    group: service.group,
    isolation: service.isolation,
    status: actual.status,
    desired,
    health: health?.verdict ?? null,
    health_detail: health?.detail ?? null,
    pid: pidOf(actual),
    exit_code: exit?.code ?? null,
    signal: exit?.signal ?? null,
    error: ended?.status === 'Failed' ? ended.error : null,
    reason,
    ended_by,
    last_lines: ended?.lastLines ?? [],
    detail: paused === null ? (preparing ?? describeWork(actual) ?? queued) : `stands still: ${paused}`,
    log_stalled: logStalled,
    notes,
    group_ip: groupIp,
    cpus: service.cpus,
    ram_mib: service.ram_mib,
    addresses: service.ports.map(({ protocol, host }) => {
      return `${protocol === 'udp' ? 'udp' : 'http'}://${addressOf(definition)}:${host}`;
    }),
    started_at: startedAt(actual),
    stopped_at: stoppedAt(actual),
    restarts: restarts.total,
    last_restart_reason: restarts.lastReason,
    restarts_at: actual.status === 'Starting' && actual.phase === 'waiting' ? isoTime(actual.resumeAtMs) : null,
    metrics,
  };
}

/**
 * The document of a service whose process ended while no daemon ran.
 *
 * @param exit from the exit record; null when the command did not end in order
 */
export function markGone(document: SavedState, exit: Exit | null, oomKilled: boolean, nowMs: number): SavedState {
  const known = exit ?? document.exit;
  const wasStopping = document.status === 'Stopping';
  const status: SavedState['status'] =
    known || wasStopping
      ? { Stopped: { exit_code: known?.code ?? null } }
      : { Failed: { error: 'its process ended while no daemon ran' } };
  const foundReason = oomKilled ? 'out-of-memory' : known ? 'exited' : 'lost';
  return {
    ...document,
    status,
    exit: known,
    reason: document.reason ?? foundReason,
    ended_by: document.ended_by ?? (known && !wasStopping ? 'command' : null),
    pid: null,
    process: null,
    metrics: NO_METRICS,
    stopped_at: isoTime(nowMs),
  };
}

/** The state of a service that has ended, from its stored document; `Unstarted` for any other. */
function endedState(document: SavedState): VmState {
  const { status, exit, started_at, stopped_at, reason, reason_detail, ended_by, last_lines } = document;
  if (typeof status === 'string') return { status: 'Unstarted' };
  const common = {
    reason: reason ?? 'lost',
    detail: reason_detail,
    endedBy: ended_by,
    startedAtMs: started_at === null ? null : Date.parse(started_at),
    stoppedAtMs: Date.parse(stopped_at ?? document.modified_at),
    lastLines: last_lines,
  };
  if ('Failed' in status) return { ...common, status: 'Failed', error: status.Failed.error, exit };
  return { ...common, status: 'Stopped', exit: exit ?? { code: status.Stopped.exit_code, signal: null } };
}

/** What a document says of the restarts so far. */
function restartHistory({ restarts, restarts_in_row, last_restart_reason }: SavedState): RestartHistory {
  return { total: restarts, inRow: restarts_in_row, lastReason: last_restart_reason };
}

/** Where a service stands by its document, its process aside. */
export function restoredState(document: SavedState): ServiceState {
  const { desired, image_digest: image } = document;
  return { desired, actual: endedState(document), restarts: restartHistory(document), image };
}
