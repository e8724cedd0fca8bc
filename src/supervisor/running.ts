/** A service whose command runs: its health, its memory, its end. Pure. */
import { diagnose, UNPROBED } from './health.ts';
import { ignore, move } from './moves.ts';
import { countOverMemory, describeMemory, OVER_MEMORY_SAMPLES } from './restart-policy.ts';
import type { Effect, MachineEvent, Now, Rules, ServiceState, Started, Transition } from './states.ts';
import { beginStopping, DRAIN_TIMEOUT_MS, explainProcessEnd, type StoppingStart, setStopTimer } from './stopping.ts';

/** The command runs. */
export function begin(service: ServiceState, pid: number, startedAtMs: number, { healthcheck }: Rules): Transition {
  const health = healthcheck ? UNPROBED : null;
  const probe: readonly Effect[] = healthcheck ? [{ type: 'probe' }] : [];
  return move(service, { status: 'Started', pid, startedAtMs, health, overMemorySamples: 0 }, [
    { type: 'cancel-timer', timer: 'start' },
    { type: 'persist' },
    { type: 'watch-metrics', pid },
    ...probe,
  ]);
}

/** The command has ended by itself. */
export function exited(
  service: ServiceState,
  run: Pick<StoppingStart, 'pid' | 'startedAtMs' | 'wasHealthy'>,
  { exit, oomKilled = false }: Extract<MachineEvent, { type: 'job-exited' }>,
  effects: readonly Effect[],
): Transition {
  const reason = oomKilled ? 'out-of-memory' : 'exited';
  return beginStopping(service, { ...run, phase: 'draining', reason, sequel: 'decide', exit, endedBy: 'command' }, [
    ...effects,
    setStopTimer(DRAIN_TIMEOUT_MS),
    { type: 'drain' },
  ]);
}

/** Every event for a service whose command runs. */
export function fromStarted(
  service: ServiceState,
  started: Started,
  event: MachineEvent,
  now: Now,
  rules: Rules,
): Transition {
  const { pid, startedAtMs, health } = started;
  const run = { pid, startedAtMs, wasHealthy: health?.verdict === 'healthy' };
  const ask = (why: Pick<StoppingStart, 'reason' | 'sequel' | 'detail'>, timeoutMs: number): Transition =>
    beginStopping(service, { ...run, ...why, phase: 'asking' }, [
      setStopTimer(timeoutMs),
      { type: 'signal-job', signal: rules.stop_signal },
    ]);
  switch (event.type) {
    case 'stop':
    case 'suspend':
      return ask({ reason: 'stopped', sequel: 'stay' }, event.timeoutMs);
    case 'job-exited':
      return exited(service, run, event, [{ type: 'unwatch-metrics' }]);
    case 'process-ended': {
      const failure = explainProcessEnd(event, 'unexpectedly');
      return beginStopping(
        service,
        {
          ...run,
          phase: 'releasing',
          reason: failure.reason,
          sequel: 'decide',
          processEnded: true,
          endedBy: 'vm_ended',
          failure,
        },
        [{ type: 'unwatch-metrics' }],
      );
    }
    case 'probed': {
      const check = rules.healthcheck;
      if (!check || !health) return ignore(service);
      const { health: found, nextProbeMs } = diagnose(check, health, event, now.ms - startedAtMs);
      if (found.verdict === 'unhealthy' && rules.on_unhealthy === 'restart') {
        return ask(
          { reason: 'unhealthy', sequel: 'decide', detail: `it was unhealthy: ${event.detail}` },
          rules.stop_timeout_ms,
        );
      }
      const next: Effect =
        nextProbeMs === null
          ? { type: 'cancel-timer', timer: 'health' }
          : { type: 'set-timer', timer: 'health', delayMs: nextProbeMs };
      return move(service, { ...started, health: found }, [next]);
    }
    case 'memory-sampled': {
      const { max_memory_bytes: maxBytes } = rules.restart;
      if (maxBytes === null) return ignore(service);
      const overMemorySamples = countOverMemory(started.overMemorySamples, event.bytes, maxBytes);
      if (overMemorySamples < OVER_MEMORY_SAMPLES) return move(service, { ...started, overMemorySamples }, []);
      const detail = describeMemory(event.bytes, maxBytes);
      return ask({ reason: 'max-memory', sequel: 'decide', detail }, rules.stop_timeout_ms);
    }
    case 'timer':
      return event.timer === 'health' ? move(service, started, [{ type: 'probe' }]) : ignore(service);
    case 'start': // It is up.
    case 'revive':
    case 'again':
    case 'image-ready': // Came before.
    case 'launched':
    case 'launch-failed':
    case 'job-started': // Said again on a new connection.
    case 'job-failed': // It did start.
    case 'drained':
    case 'inspected':
    case 'streams-ended': // Comes after the end of the process.
      return ignore(service);
  }
}
