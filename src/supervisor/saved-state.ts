/** State file of a service: its content, how it is written, and the states that a later daemon derives from it. */
import { isoTime } from '../lib/clock.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import { within } from '../lib/promises.ts';
import { NO_METRICS } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { RecordedEnd } from '../vm/backend.ts';
import type { SupervisorContext } from './interfaces.ts';
import { enterStarted, START_TIMER } from './starting.ts';
import { goTo, type Rules, type ServiceState, type Transition, type VmState } from './states.ts';
import { isoTimeOrNull, membershipOf, runFacts, type Snapshot } from './status.ts';
import { beginStopping, DRAIN, setStopTimer } from './stopping.ts';

/**
 * Maximum time that a stop waits for its state file. If the daemon crashes before the file is written, the next daemon
 * assumes that the service ended by itself.
 */
const STOP_PATIENCE_MS = 250;

/** Content of the state file. Pure. */
export function renderSavedState(snapshot: Snapshot, nowMs: number): SavedState {
  const { definition, state, identity, metrics, createdAtMs, launchedAtMs } = snapshot;
  const { service, group, groupIp, groupIndex = null, kernel } = definition;
  const { actual, desired, restarts, image = null } = state;
  return {
    ...runFacts(actual),
    created_at: isoTime(createdAtMs),
    modified_at: isoTime(nowMs),
    service,
    group,
    ...membershipOf(definition),
    rootfs_path: service.rootfs,
    image_digest: image,
    status: renderStoredStatus(actual),
    metrics,
    group_ip: groupIp,
    group_index: groupIndex,
    kernel,
    process: identity,
    desired,
    restarts: restarts.total,
    restarts_in_row: restarts.inRow,
    last_restart_reason: restarts.lastReason,
    launched_at: isoTimeOrNull(launchedAtMs),
  };
}

function renderStoredStatus(state: VmState): SavedState['status'] {
  if (state.status === 'Stopped') return { Stopped: { exit_code: state.exit.code } };
  return state.status === 'Failed' ? { Failed: { error: state.error } } : state.status;
}

/**
 * State of a service according to its state file. `Unstarted` unless the service has ended, because its process is not
 * examined. Pure.
 */
export function restoreState(saved: SavedState): ServiceState {
  const { desired, image_digest: image, restarts: total, restarts_in_row: inRow } = saved;
  const restarts = { total, inRow, lastReason: saved.last_restart_reason };
  return { desired, actual: restoreEnded(saved), restarts, image };
}

function restoreEnded(saved: SavedState): VmState {
  const { status, exit, started_at, stopped_at, reason, reason_detail, ended_by, last_lines } = saved;
  if (typeof status === 'string') return { status: 'Unstarted' };
  const facts = {
    reason: reason ?? 'lost',
    detail: reason_detail,
    endedBy: ended_by,
    startedAtMs: started_at === null ? null : Date.parse(started_at),
    stoppedAtMs: Date.parse(stopped_at ?? saved.modified_at),
    lastLines: last_lines,
  };
  if ('Failed' in status) return { ...facts, status: 'Failed', error: status.Failed.error, exit };
  return { ...facts, status: 'Stopped', exit: exit ?? { code: status.Stopped.exit_code, signal: null } };
}

/** State in which a new daemon supervises a VM of an earlier one, and the effects that lead to it. Pure. */
export function recoverAdopted(saved: SavedState, identity: ProcessIdentity, rules: Rules, nowMs: number): Transition {
  const { status, exit, started_at, reason, reason_detail } = saved;
  const pid = saved.pid ?? identity.pid;
  const service = restoreState(saved);
  const startedAtMs = started_at === null ? null : Date.parse(started_at);
  if (status === 'Starting') return goTo(service, { status, phase: 'booting', pid }, [START_TIMER]);
  if (status === 'Started') return enterStarted(service, pid, startedAtMs ?? nowMs, rules);
  // It was stopping, or its end had not been recorded. The phase of the stop is not saved, so it restarts with the
  // first one that makes sense.
  const stopping = {
    ...{ pid, startedAtMs, exit, reason: reason ?? 'stopped', detail: reason_detail },
    afterStop: service.desired === 'up' && reason !== 'stopped' ? 'decide' : 'stay',
  } as const;
  return exit
    ? beginStopping(service, { ...stopping, phase: 'draining' }, DRAIN)
    : beginStopping(service, { ...stopping, phase: 'asking' }, [
        setStopTimer(rules.stop_timeout_ms),
        { type: 'signal-job', signal: rules.stop_signal },
      ]);
}

/** State file of a service whose process ended while no daemon ran. Pure. */
export function markGone(
  saved: SavedState,
  { exit, oomKilled = false, offence = null }: RecordedEnd,
  nowMs: number,
): SavedState {
  const known = exit ?? saved.exit;
  const wasStopping = saved.status === 'Stopping';
  const error = offence === null ? 'its process ended while no daemon ran' : `the guest ${offence}`;
  const status: SavedState['status'] =
    known || wasStopping ? { Stopped: { exit_code: known?.code ?? null } } : { Failed: { error } };
  const lostReason = offence === null ? 'lost' : 'guest-flood';
  const foundReason = oomKilled ? 'out-of-memory' : known ? 'exited' : lostReason;
  return {
    ...saved,
    status,
    exit: known,
    reason: saved.reason ?? foundReason,
    ended_by: saved.ended_by ?? (known && !wasStopping ? 'command' : null),
    pid: null,
    process: null,
    metrics: NO_METRICS,
    stopped_at: isoTime(nowMs),
  };
}

/** Content of the state file for a service that is given up, with the reason for people. Pure. */
export function markFailed(saved: SavedState, error: string, nowMs: number): SavedState {
  return { ...markGone(saved, { exit: null }, nowMs), status: { Failed: { error } }, reason: 'lost', ended_by: null };
}

/**
 * Writes a state file. Resolves when it is on disk, so that the effect that follows has been announced there; a stop,
 * however, does not wait for a disk that hangs. Throws the system error.
 */
export async function persist(
  saved: SavedState,
  { store, clock }: Pick<SupervisorContext, 'store' | 'clock'>,
): Promise<void> {
  if (typeof saved.status !== 'string') return store.conclude(saved);
  const written = store.save(saved);
  if (saved.status !== 'Stopping') return written;
  // The store retries a failed write.
  await within(written, STOP_PATIENCE_MS, { clock });
}
