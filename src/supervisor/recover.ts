/** Where a service goes on whose daemon has died. Pure. */
import type { SavedState } from '../protocol/state-document.ts';
import { UNPROBED } from './health.ts';
import { START_TIMEOUT_MS } from './machine.ts';
import type { Rules, ServiceState, Transition } from './states.ts';
import { beginStopping, DRAIN_TIMEOUT_MS, setStopTimer } from './stopping.ts';

/**
 * Where a service of an earlier daemon goes on whose VM still runs.
 *
 * @param document its state file
 * @param service what is known of it from there; its `actual` is replaced
 * @param pid of its process
 */
export function resume(
  { status, exit, started_at, reason, reason_detail }: SavedState,
  service: ServiceState,
  pid: number,
  rules: Rules,
  nowMs: number,
): Transition {
  const startedAtMs = started_at === null ? null : Date.parse(started_at);
  switch (status) {
    case 'Starting':
      return {
        state: { ...service, actual: { status: 'Starting', phase: 'booting', pid } },
        effects: [{ type: 'set-timer', timer: 'start', delayMs: START_TIMEOUT_MS }],
      };
    case 'Started': {
      const health = rules.healthcheck ? UNPROBED : null;
      return {
        state: {
          ...service,
          actual: { status: 'Started', pid, startedAtMs: startedAtMs ?? nowMs, health, overMemorySamples: 0 },
        },
        effects: [{ type: 'watch-metrics', pid }, ...(health ? [{ type: 'probe' } as const] : [])],
      };
    }
    default: {
      // It was on its way down, or its end was not concluded. Which rung it had come to is not known, so it begins with
      // the first that makes sense.
      const stopping = {
        ...{ pid, startedAtMs, exit, reason: reason ?? 'stopped', detail: reason_detail },
        sequel: service.desired === 'up' && reason !== 'stopped' ? 'decide' : 'stay',
      } as const;
      return exit
        ? beginStopping(service, { ...stopping, phase: 'draining' }, [
            setStopTimer(DRAIN_TIMEOUT_MS),
            { type: 'drain' },
          ])
        : beginStopping(service, { ...stopping, phase: 'asking' }, [
            setStopTimer(rules.stop_timeout_ms),
            { type: 'signal-job', signal: rules.stop_signal },
          ]);
    }
  }
}
