/** Handlers for a service whose command is running: its health, its memory, its end. Pure. */
import { evaluateProbe } from './health.ts';
import { countOverMemory, describeMemory, OVER_MEMORY_SAMPLES } from './restart-policy.ts';
import { type Effect, goTo, type On, type Rules, type Running, type ServiceIn, type Transition } from './states.ts';
import { beginStopping, drainAfterExit, explainProcessEnd, type StoppingStart, setStopTimer } from './stopping.ts';

/** Facts about the run that remain after its end. */
function runOf({ actual }: ServiceIn<Running>): Pick<StoppingStart, 'pid' | 'startedAtMs' | 'wasHealthy'> {
  const { pid, startedAtMs, health } = actual;
  return { pid, startedAtMs, wasHealthy: health?.verdict === 'healthy' };
}

/** Asks the command to end. */
function ask(
  service: ServiceIn<Running>,
  { stop_signal: signal }: Rules,
  why: Pick<StoppingStart, 'reason' | 'afterStop' | 'detail'>,
  timeoutMs: number,
): Transition {
  return beginStopping(service, { ...runOf(service), ...why, phase: 'asking' }, [
    setStopTimer(timeoutMs),
    { type: 'signal-job', signal },
  ]);
}

export function stop({ service, event, rules }: On<Running, 'stop' | 'suspend'>): Transition {
  return ask(service, rules, { reason: 'stopped', afterStop: 'stay' }, event.timeoutMs);
}

export function jobExited({ service, event }: On<Running, 'job-exited'>): Transition {
  return drainAfterExit(service, runOf(service), event, [{ type: 'unwatch-metrics' }]);
}

export function processEnded({ service, event }: On<Running, 'process-ended'>): Transition {
  const failure = explainProcessEnd(event, 'unexpectedly');
  const { reason } = failure;
  const end = { phase: 'releasing', reason, afterStop: 'decide', processEnded: true, endedBy: 'vm_ended' } as const;
  return beginStopping(service, { ...runOf(service), ...end, failure }, [{ type: 'unwatch-metrics' }]);
}

export function probed({ service, event, now, rules }: On<Running, 'probed'>): Transition {
  const { actual } = service;
  if (!rules.healthcheck || !actual.health) return goTo(service, actual);
  const { health, nextProbeMs } = evaluateProbe(rules.healthcheck, actual.health, event, now.ageMs ?? 0);
  if (health.verdict === 'unhealthy' && rules.on_unhealthy === 'restart') {
    const why = { reason: 'unhealthy', afterStop: 'decide', detail: `it was unhealthy: ${event.detail}` } as const;
    return ask(service, rules, why, rules.stop_timeout_ms);
  }
  const next: Effect =
    nextProbeMs === null
      ? { type: 'cancel-timer', timer: 'probe-due' }
      : { type: 'set-timer', timer: 'probe-due', delayMs: nextProbeMs };
  return goTo(service, { ...actual, health }, [next]);
}

export function memorySampled({ service, event, rules }: On<Running, 'memory-sampled'>): Transition {
  const { actual } = service;
  const { max_memory_bytes: maxBytes } = rules.restart;
  if (maxBytes === null) return goTo(service, actual);
  const overMemorySamples = countOverMemory(actual.overMemorySamples, event.bytes, maxBytes);
  if (overMemorySamples < OVER_MEMORY_SAMPLES) return goTo(service, { ...actual, overMemorySamples });
  const why = { reason: 'max-memory', afterStop: 'decide', detail: describeMemory(event.bytes, maxBytes) } as const;
  return ask(service, rules, why, rules.stop_timeout_ms);
}
