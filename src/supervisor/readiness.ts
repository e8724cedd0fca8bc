/** Conditions that dependent services and callers wait for. Pure. */
import { MonocoreError } from '../lib/errors.ts';
import type { Condition } from '../protocol/service.ts';
import { describeEnd } from './restart-policy.ts';
import type { VmState } from './states.ts';
import { lastRun } from './status.ts';

/** `failure`: the reason why the condition cannot be met any more, without the service's name: `is unhealthy: …`. */
export type ConditionCheck =
  | { readonly type: 'met' }
  | { readonly type: 'pending' }
  | { readonly type: 'failed'; readonly failure: string };

const MET: ConditionCheck = { type: 'met' };
const PENDING: ConditionCheck = { type: 'pending' };

/** Checks a condition. A service that waits to be restarted may still meet it. */
export function checkCondition(condition: Condition, state: VmState): ConditionCheck {
  switch (condition) {
    case 'started':
      return checkStarted(state);
    case 'healthy':
      return checkHealthy(state);
    case 'completed':
      return checkCompleted(state);
  }
}

function checkStarted(state: VmState): ConditionCheck {
  if (state.status === 'Started') return MET;
  // The command has run.
  if ((state.status === 'Stopping' || state.status === 'Stopped') && state.startedAtMs !== null) return MET;
  return failedOrPending(state);
}

function checkHealthy(state: VmState): ConditionCheck {
  if (state.status !== 'Started') return failedOrPending(state);
  if (state.health?.verdict === 'healthy') return MET;
  if (state.health?.verdict !== 'unhealthy') return PENDING;
  return { type: 'failed', failure: `is unhealthy: ${state.health.detail}` };
}

function checkCompleted(state: VmState): ConditionCheck {
  return state.status === 'Stopped' && state.exit.code === 0 ? MET : failedOrPending(state);
}

function failedOrPending(state: VmState): ConditionCheck {
  if (state.status === 'Failed') return { type: 'failed', failure: `failed: ${state.error}` };
  if (state.status === 'Stopped') return { type: 'failed', failure: `ended: ${describeEnd(state)}` };
  return PENDING;
}

/** True once a start is decided: the command runs, has run, or never will. */
export function hasBegunOrEnded(state: VmState): boolean {
  switch (state.status) {
    case 'Unstarted':
      return false;
    case 'Starting':
      return state.phase === 'waiting';
    case 'Stopping':
      return state.startedAtMs !== null;
    default:
      return true;
  }
}

/** Error of a start that is decided; null when the command runs, or has run. */
export function whyNotStarted(state: VmState): MonocoreError | null {
  const ended = lastRun(state);
  if (ended?.status === 'Failed') return new MonocoreError('StartFailed', ended.error);
  if (ended?.startedAtMs !== null) return null;
  return new MonocoreError('Aborted', 'it was stopped before its command ran');
}

/** True while a process of the service may exist. */
export function isActive(state: VmState): boolean {
  if (state.status === 'Starting') return state.phase !== 'waiting';
  return state.status === 'Started' || state.status === 'Stopping';
}
