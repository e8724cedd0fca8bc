/** Conditions that dependents and callers wait for. Pure. */
import { MonocoreError } from '../lib/errors.ts';
import type { Condition } from '../protocol/supervision.ts';
import { describeEnd } from './restart-policy.ts';
import type { VmState } from './states.ts';
import { lastRun } from './status.ts';

/** `failure`: reason why the condition can no longer be met, without the name of the service: `is unhealthy: …`. */
type ConditionCheck = 'met' | 'pending' | { readonly failure: string };

/** Checks a condition. A service that is waiting for its restart may still meet it. */
export function checkCondition(condition: Condition, state: VmState): ConditionCheck {
  if (isMet(condition, state)) return 'met';
  if (state.status === 'Failed') return { failure: `failed: ${state.error}` };
  if (state.status === 'Stopped') return { failure: `ended: ${describeEnd(state)}` };
  const health = condition === 'healthy' && state.status === 'Started' ? state.health : null;
  return health?.verdict === 'unhealthy' ? { failure: `is unhealthy: ${health.detail}` } : 'pending';
}

function isMet(condition: Condition, state: VmState): boolean {
  switch (condition) {
    case 'started':
      if (state.status === 'Stopping' || state.status === 'Stopped') return state.startedAtMs !== null;
      return state.status === 'Started';
    case 'healthy':
      return state.status === 'Started' && state.health?.verdict === 'healthy';
    case 'completed':
      return state.status === 'Stopped' && state.exit.code === 0;
  }
}

/** True once the outcome of a start is known: the command is running, has run, or never will. */
export function hasBegunOrEnded(state: VmState): boolean {
  if (state.status === 'Starting') return state.phase === 'waiting';
  if (state.status === 'Stopping') return state.startedAtMs !== null;
  return state.status !== 'Unstarted';
}

/** Error of a start whose outcome is known; null if the command is running or has run. */
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
