/** What a service asks of its supervisor beyond being started: restarts, health checks, conditions of dependencies. */
import * as v from 'valibot';

/**
 * `on-failure`: when it failed, or its exit code is not 0 or not known. `always` and `unless-stopped`: whenever it ended
 * by itself; they differ where a daemon starts anew: `always` then starts also what the user had stopped.
 */
export const RestartWhenSchema = v.picklist(['no', 'on-failure', 'always', 'unless-stopped']);
export type RestartWhen = v.InferOutput<typeof RestartWhenSchema>;

export const RestartSettingsSchema = v.object({
  when: RestartWhenSchema,
  /** Restarts in a row before it counts as failed; null for no limit. */
  max_restarts: v.nullable(v.number()),
  /** A run this long, and healthy where that is checked, begins the row and the back-off anew. Milliseconds. */
  reset_ms: v.number(),
  /** Resident memory of its process at which it is restarted, bytes; null never. */
  max_memory_bytes: v.nullable(v.number()),
});
export type RestartSettings = v.InferOutput<typeof RestartSettingsSchema>;

export const DEFAULT_RESTART_SETTINGS: RestartSettings = Object.freeze({
  when: 'no',
  max_restarts: null,
  reset_ms: 60_000,
  max_memory_bytes: null,
});

/** How it is found out whether a service works. Ports are those inside of the guest. */
export const ProbeSchema = v.variant('type', [
  /** A connection is accepted. */
  v.object({ type: v.literal('tcp'), port: v.number() }),
  /** A GET is answered with a status of 200 to 399. */
  v.object({ type: v.literal('http'), port: v.number(), path: v.string() }),
  /** A command ends with status 0, in the guest, with the environment of the service. */
  v.object({ type: v.literal('exec'), command: v.array(v.string()) }),
  /** A line of stdout or stderr of this run matches the regular expression; healthy from then on. */
  v.object({ type: v.literal('log_line'), pattern: v.string() }),
]);
export type Probe = v.InferOutput<typeof ProbeSchema>;

/** Milliseconds, all of them. */
export const HealthCheckSchema = v.object({
  probe: ProbeSchema,
  interval_ms: v.number(),
  timeout_ms: v.number(),
  /** Failures in a row that make it unhealthy. */
  retries: v.number(),
  /** From the start of the command: failures in it do not count, a success ends it. */
  start_period_ms: v.number(),
});
export type HealthCheck = v.InferOutput<typeof HealthCheckSchema>;

/** `restart`: a service that becomes unhealthy is stopped, and started again as after a failure. */
export const OnUnhealthySchema = v.picklist(['none', 'restart']);
export type OnUnhealthy = v.InferOutput<typeof OnUnhealthySchema>;

/** `started`: its command runs, or has run. `healthy`: its check succeeded. `completed`: it ended with exit code 0. */
export const ConditionSchema = v.picklist(['started', 'healthy', 'completed']);
export type Condition = v.InferOutput<typeof ConditionSchema>;

/** A service that another needs, and what it needs of it. */
export const DependencySchema = v.object({ service: v.string(), condition: ConditionSchema });
export type Dependency = v.InferOutput<typeof DependencySchema>;

/** Why a run of a service ended. */
export const EndReasonSchema = v.picklist([
  /** Its command ended by itself. */
  'exited',
  /** Somebody wanted it to stop. */
  'stopped',
  /** The guest's kernel killed its command for want of memory. */
  'out-of-memory',
  /** It was stopped because its health check failed, so that it can be started again. */
  'unhealthy',
  /** It was stopped because it had more memory than it may have, so that it can be started again. */
  'max-memory',
  /** It could not be launched. */
  'start-failed',
  /** The guest was not ready in time. */
  'boot-timeout',
  /** Its command could not be run. */
  'command-failed',
  /** The guest's kernel panicked. */
  'guest-panic',
  /** The guest restarted or switched off its machine. */
  'guest-reset',
  /** The VM process failed, or somebody else killed it. */
  'vm-crash',
  /** It ended while no daemon ran, and nobody noted how. */
  'lost',
  /** It ended too often in a row. */
  'gave-up',
]);
export type EndReason = v.InferOutput<typeof EndReasonSchema>;

/** What made a run end: the command itself, or the rung of the stop ladder that helped. */
export const EndedBySchema = v.picklist([
  /** The command ended by itself. */
  'command',
  /** The command ended after its stop signal. */
  'stop_signal',
  /** SIGTERM to the VM process. */
  'vm_sigterm',
  /** SIGKILL to the VM process. */
  'vm_sigkill',
  /** The VM process ended by itself. */
  'vm_ended',
]);
export type EndedBy = v.InferOutput<typeof EndedBySchema>;
