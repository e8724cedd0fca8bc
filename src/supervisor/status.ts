/** Status of a service as users see it, and the messages about it in the daemon's log. Pure. */
import { isoTime } from '../lib/clock.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import type { ForwardedPort, Group, Metrics, Project, Service, ServiceStatus } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { EndedState, ServiceState, StopPhase, VmState } from './states.ts';
import { stopStepOf } from './stopping.ts';

/** Part of a service that does not change during the lifetime of its supervisor, except for its project. */
export interface ServiceDefinition {
  readonly service: Service;
  readonly group: Group | null;
  /** Loopback address of the group, by default 127.0.0.2 to 127.0.0.254; null without a group. */
  readonly groupIp: string | null;
  /**
   * Index of the VM in the network of its group, or in a network of its own, see `protocol/network.ts`; null for none.
   */
  readonly groupIndex?: number | null;
  /** Kernel image set by the config, or null. */
  readonly kernel: string | null;
  /** Project whose config declared it. */
  readonly project?: Project | null;
  /** True if that config no longer declares it. */
  readonly undeclared?: boolean;
}

/** Part of a definition that may change while the service is running. */
export type Membership = Required<Pick<ServiceDefinition, 'project' | 'undeclared'>>;

export function membershipOf({ project = null, undeclared = false }: ServiceDefinition): Membership {
  return { project, undeclared };
}

/** Reasons why a service is waiting for something outside, for people; null if it is not waiting. */
export interface Blocked {
  /** Its output cannot be written. */
  readonly logStalled: string | null;
  readonly paused: string | null;
  /** Its image is being fetched, or its VM is waiting for a start slot. */
  readonly preparing: string | null;
  /** Its start is waiting for other services or for a start slot. */
  readonly queued: string | null;
}

export const NOT_BLOCKED: Blocked = Object.freeze({ logStalled: null, paused: null, preparing: null, queued: null });

/** Everything known about a service. */
export interface Snapshot {
  readonly definition: ServiceDefinition;
  readonly blocked: Blocked;
  readonly state: ServiceState;
  readonly identity: ProcessIdentity | null;
  readonly metrics: Metrics;
  readonly createdAtMs: number;
  /** Start of the launch of the run; null before the first launch. */
  readonly launchedAtMs: number | null;
  /** Settings that cannot be applied on this host, with the reason. */
  readonly notes: readonly string[];
}

const PROGRESS: Record<StopPhase, string> = {
  cancelling: 'cancelling the start',
  asking: 'stopping',
  failing: 'shutting down the guest',
  draining: 'reading the last output',
  releasing: 'powering off',
  terminating: 'terminating (SIGTERM)',
  killing: 'killing (SIGKILL)',
  inspecting: 'finding out why it ended',
};

function describeProgress(state: VmState, { isolation }: Service): string | null {
  if (state.status === 'Starting') return state.phase === 'waiting' ? 'waiting to be restarted' : state.phase;
  if (state.status !== 'Stopping') return null;
  return state.phase === 'releasing' && !capabilitiesOf(isolation).guest ? 'ending' : PROGRESS[state.phase];
}

/** Last completed run, also while the next one is waiting. */
export function lastRun(state: VmState): EndedState | null {
  if (state.status === 'Stopped' || state.status === 'Failed') return state;
  return state.status === 'Starting' && state.phase === 'waiting' ? state.last : null;
}

type RunFacts = Pick<
  SavedState,
  'pid' | 'exit' | 'started_at' | 'stopped_at' | 'reason' | 'ended_by' | 'reason_detail' | 'last_lines'
>;

/** Facts about the current run, or else about the last one, in the form of the status and of the state file. */
export function runFacts(state: VmState): RunFacts {
  const ended = lastRun(state);
  const run = ended ?? state;
  const stopping = state.status === 'Stopping' ? state : null;
  // A signal to the VM process is recorded before it is sent, so a later daemon knows about it.
  const killedBy = stopping && stopping.phase !== 'asking' ? stopStepOf(stopping.phase) : null;
  return {
    pid: 'pid' in state ? state.pid : null,
    exit: stopping?.exit ?? ended?.exit ?? null,
    started_at: isoTimeOrNull('startedAtMs' in run ? run.startedAtMs : null),
    stopped_at: isoTimeOrNull(ended?.stoppedAtMs ?? null),
    reason: stopping?.failure?.reason ?? stopping?.reason ?? ended?.reason ?? null,
    ended_by: stopping?.endedBy ?? killedBy ?? ended?.endedBy ?? null,
    reason_detail: stopping?.detail ?? ended?.detail ?? null,
    last_lines: [...(ended?.lastLines ?? [])],
  };
}

export function isoTimeOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : isoTime(epochMs);
}

/** Ports of a service, with the address of the host that each is bound to. */
export function portsOf({ service, groupIp }: ServiceDefinition): ForwardedPort[] {
  return service.ports.map((port) => ({ ...port, address: port.address ?? groupIp ?? '127.0.0.1' }));
}

/** Row of `monocore status`. */
export function renderStatus(snapshot: Snapshot): ServiceStatus {
  const { definition, blocked, state, metrics, notes } = snapshot;
  const { service, groupIp } = definition;
  const ports = portsOf(definition);
  const { logStalled, paused, preparing, queued } = blocked;
  const { actual, desired, restarts } = state;
  const { pid, exit, started_at, stopped_at, reason, ended_by, last_lines } = runFacts(actual);
  const ended = lastRun(actual);
  const health = actual.status === 'Started' ? actual.health : null;
  return {
    name: service.name,
    replica_of: service.replica_of,
    ...membershipOf(definition),
    group: service.group,
    isolation: service.isolation,
    status: actual.status,
    desired,
    health: health?.verdict ?? null,
    health_detail: health?.detail ?? null,
    pid,
    exit_code: exit?.code ?? null,
    signal: exit?.signal ?? null,
    error: ended?.status === 'Failed' ? ended.error : null,
    reason,
    ended_by,
    last_lines,
    detail: paused === null ? (preparing ?? describeProgress(actual, service) ?? queued) : `paused: ${paused}`,
    log_stalled: logStalled,
    notes,
    group_ip: groupIp,
    cpus: service.cpus,
    ram_mib: service.ram_mib,
    ports,
    addresses: ports.map(
      ({ address, protocol, host }) => `${protocol === 'udp' ? 'udp' : 'http'}://${address}:${host}`,
    ),
    started_at,
    stopped_at,
    restarts: restarts.total,
    last_restart_reason: restarts.lastReason,
    restarts_at: actual.status === 'Starting' && actual.phase === 'waiting' ? isoTime(actual.resumeAtMs) : null,
    metrics,
  };
}

/** Level and message of the log entry for a transition, without the name of the service; null for none. */
export function describeTransition(
  before: VmState,
  { actual, restarts }: ServiceState,
  nowMs: number,
): ['info' | 'warn' | 'error', string] | null {
  if (actual.status === 'Starting' && actual.phase === 'waiting') {
    const delaySeconds = ((actual.resumeAtMs - nowMs) / 1000).toFixed(1);
    return ['warn', `restart ${restarts.total} in ${delaySeconds} s, because: ${restarts.lastReason}`];
  }
  if (before.status === actual.status) return null;
  if (actual.status === 'Failed') return ['error', `failed: ${actual.error}`];
  const end = actual.status === 'Stopped' && `ended with exit code ${actual.exit.code ?? 'unknown'}`;
  return ['info', end || actual.status];
}
