/** State of a service whose VM outlived its daemon. Pure. */
import type { SavedState } from '../protocol/state.ts';
import { enterStarted, START_TIMER } from './starting.ts';
import { goTo, type Rules, type ServiceState, type Transition } from './states.ts';
import { beginStopping, DRAIN, setStopTimer } from './stopping.ts';

/**
 * State in which a new daemon continues to supervise a VM of an earlier one, and the effects on the way there.
 *
 * @param service state restored from the state file; its `actual` is replaced
 */
export function recoverAdopted(
  { status, exit, started_at, reason, reason_detail }: SavedState,
  service: ServiceState,
  pid: number,
  rules: Rules,
  nowMs: number,
): Transition {
  const startedAtMs = started_at === null ? null : Date.parse(started_at);
  if (status === 'Starting') return goTo(service, { status, phase: 'booting', pid }, [START_TIMER]);
  if (status === 'Started') {
    return enterStarted(service, pid, startedAtMs ?? nowMs, rules);
  }
  // It was stopping, or its end was not concluded. The step of the stop is not saved, so it begins with the first
  // sensible one.
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
