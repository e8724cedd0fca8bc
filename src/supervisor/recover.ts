/** State of a service whose VM outlived its daemon. Pure. */
import type { SavedState } from '../protocol/state.ts';
import { UNPROBED } from './health.ts';
import { START_TIMER } from './starting.ts';
import { type Effect, goTo, type Rules, type ServiceState, type Transition } from './states.ts';
import { beginStopping, DRAIN_TIMEOUT_MS, setStopTimer } from './stopping.ts';

/**
 * State in which a new daemon continues to supervise a VM of an earlier one, and the effects on the way there.
 *
 * @param saved state file of the service
 * @param service state restored from that file; its `actual` is replaced
 * @param pid process to show and to measure
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
    const health = rules.healthcheck ? UNPROBED : null;
    const probe: readonly Effect[] = health ? [{ type: 'probe' }] : [];
    return goTo(service, { status, pid, startedAtMs: startedAtMs ?? nowMs, health, overMemorySamples: 0 }, [
      { type: 'watch-metrics', pid },
      ...probe,
    ]);
  }
  // It was stopping, or its end was not concluded. The step of the stop is not saved, so it begins with the first
  // sensible one.
  const stopping = {
    ...{ pid, startedAtMs, exit, reason: reason ?? 'stopped', detail: reason_detail },
    afterStop: service.desired === 'up' && reason !== 'stopped' ? 'decide' : 'stay',
  } as const;
  return exit
    ? beginStopping(service, { ...stopping, phase: 'draining' }, [setStopTimer(DRAIN_TIMEOUT_MS), { type: 'drain' }])
    : beginStopping(service, { ...stopping, phase: 'asking' }, [
        setStopTimer(rules.stop_timeout_ms),
        { type: 'signal-job', signal: rules.stop_signal },
      ]);
}
