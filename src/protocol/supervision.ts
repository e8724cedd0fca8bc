/** Restart rules, health checks and dependencies of a service, and the reasons for its end. */
import * as v from 'valibot';
import { exactDuration } from '../lib/units.ts';
import { Argument, amount, count, listOf, Name, Port } from './input.ts';

/**
 * `on-failure`: after a failure, or if the exit code is unknown or not 0. `always` and `unless-stopped`: whenever the
 * service ends by itself. When a daemon starts, `always` also starts services that the user had stopped.
 */
export const RestartWhenSchema = v.picklist(['no', 'on-failure', 'always', 'unless-stopped']);
export type RestartWhen = v.InferOutput<typeof RestartWhenSchema>;

export const RestartSettingsSchema = v.object({
  when: RestartWhenSchema,
  /** Number of consecutive restarts before the service counts as failed; null for no limit. */
  max_restarts: v.nullable(count(1)),
  /**
   * Length of a run, healthy if there is a health check, that resets the restart count and the back-off. Milliseconds.
   */
  reset_ms: amount(),
  /** Resident memory of its processes, in bytes, above which it is restarted; null for no limit. */
  max_memory_bytes: v.nullable(amount(1)),
});
type RestartSettings = v.InferOutput<typeof RestartSettingsSchema>;

export const DEFAULT_RESTART_SETTINGS: RestartSettings = Object.freeze({
  when: 'no',
  max_restarts: null,
  reset_ms: 60_000,
  max_memory_bytes: null,
});

/** Health probe. Ports are inside the guest. */
const ProbeSchema = v.variant('type', [
  /** Succeeds if a connection is accepted. */
  v.object({ type: v.literal('tcp'), port: Port }),
  /** Succeeds if the reply to a GET has a status from 200 to 399. */
  v.object({ type: v.literal('http'), port: Port, path: v.pipe(v.string(), v.regex(/^\/[!-~]*$/, 'is not a path')) }),
  /** Succeeds if a command in the guest, with the environment of the service, exits with code 0. */
  v.object({ type: v.literal('exec'), command: v.pipe(listOf(Argument), v.nonEmpty('must not be empty')) }),
  /**
   * Succeeds once a line of stdout or stderr of this run matches the regular expression; the service stays healthy from
   * then on.
   */
  v.object({ type: v.literal('log_line'), pattern: v.pipe(v.string(), v.nonEmpty('must not be empty')) }),
]);
export type Probe = v.InferOutput<typeof ProbeSchema>;

/** A probe and its schedule; all times in milliseconds. */
export const HealthCheckSchema = v.object({
  probe: ProbeSchema,
  interval_ms: amount(1),
  timeout_ms: amount(1),
  /** Number of consecutive failures that make the service unhealthy. */
  retries: count(1),
  /** Time after the start of the command during which failures do not count; a success ends it early. */
  start_period_ms: amount(),
});
export type HealthCheck = v.InferOutput<typeof HealthCheckSchema>;

/** `restart`: an unhealthy service is stopped and then restarted as after a failure. */
export const OnUnhealthySchema = v.picklist(['none', 'restart']);

/**
 * `started`: the command is running or has run. `healthy`: the health check succeeded. `completed`: the exit code was
 * 0.
 */
export const ConditionSchema = v.picklist(['started', 'healthy', 'completed']);
export type Condition = v.InferOutput<typeof ConditionSchema>;

export const DependencySchema = v.object({ service: Name, condition: ConditionSchema });
export type Dependency = v.InferOutput<typeof DependencySchema>;

export const EndReasonSchema = v.picklist([
  /** The command ended by itself. */
  'exited',
  'stopped',
  /** The guest's kernel killed the command because memory ran out. */
  'out-of-memory',
  /** It was stopped in order to restart it, because its health check failed. */
  'unhealthy',
  /** It was stopped in order to restart it, because it used more memory than allowed. */
  'max-memory',
  'start-failed',
  'boot-timeout',
  /** The command could not be run. */
  'command-failed',
  'guest-panic',
  /** The guest rebooted or powered off. */
  'guest-reset',
  /** The guest sent more on a port of its VM than allowed, or did not read what was sent to it. */
  'guest-flood',
  /** The VM process crashed or was killed by someone else. */
  'vm-crash',
  /** The host's kernel killed the VM process at its memory limit. */
  'memory-limit',
  /** It ended while no daemon was running, and left no exit record. */
  'lost',
  /** It ended too many times in a row. */
  'gave-up',
]);
export type EndReason = v.InferOutput<typeof EndReasonSchema>;

/** Step of the stop that ended a run, or the command itself. */
export const EndedBySchema = v.picklist([
  /** The command ended by itself. */
  'command',
  /** The command ended after its stop signal. */
  'stop_signal',
  'vm_sigterm',
  'vm_sigkill',
  /** The VM process ended by itself. */
  'vm_ended',
]);
export type EndedBy = v.InferOutput<typeof EndedBySchema>;

export interface ProbeResult {
  readonly ok: boolean;
  /** For people: `connection refused`, `status 503`, `exit code 1`, `no answer in 5s`. */
  readonly detail: string;
}

/** Probe of a port, which other threads can carry out. */
export type NetworkProbe = Extract<Probe, { type: 'tcp' | 'http' }>;

export const CANCELLED: ProbeResult = Object.freeze({ ok: false, detail: 'cancelled' });

/** Result of a probe that timed out. */
export function noAnswer(timeoutMs: number): ProbeResult {
  return { ok: false, detail: `no answer in ${exactDuration(timeoutMs)}` };
}
