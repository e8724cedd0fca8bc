/**
 * Definition and status of a service in memory, state files and HTTP, in snake_case with the field names of the Rust
 * version.
 */
import * as v from 'valibot';
import { DEFAULT_IMAGE_SETTINGS, ImageSettingsSchema } from './images.ts';
import {
  Argument,
  amount,
  count,
  HostAddress,
  isCommandUser,
  isUser,
  Line,
  listOf,
  Name,
  Path,
  Port as PortNumber,
  SECRET_NAME,
  ServiceName,
  Variables,
} from './input.ts';
import { type Isolation, IsolationSchema } from './isolation.ts';
import { HomeLogSettingsSchema, LogSettingsSchema } from './log-settings.ts';
import {
  DEFAULT_RESTART_SETTINGS,
  DependencySchema,
  type EndedBy,
  type EndReason,
  HealthCheckSchema,
  OnUnhealthySchema,
  RestartSettingsSchema,
} from './supervision.ts';

/** Name of a status; the data of each status is in {@link ServiceStatus}. */
export type StatusName = 'Unstarted' | 'Starting' | 'Started' | 'Stopping' | 'Stopped' | 'Failed';

/**
 * Signals that can be used to ask a command to end. The default action of each is to end the process, see signal(7).
 */
export const StopSignalSchema = v.picklist(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']);

/** Forwarded port: `host` to `guest`. */
const PortSchema = v.object({
  /** Host address that it is bound to; by default that of the group, or 127.0.0.1 without a group. */
  address: v.optional(HostAddress),
  host: PortNumber,
  guest: PortNumber,
  protocol: v.optional(v.picklist(['tcp', 'udp']), 'tcp'),
});
export type Port = v.InferOutput<typeof PortSchema>;

/** Forwarded port with the host address that it is bound to: its own, or that of its group. */
export interface ForwardedPort extends Port {
  readonly address: string;
}

/** Port in the notation of configs: `8080:80`, `0.0.0.0:5353:53/udp`. */
export function formatPort({ address, host, guest, protocol }: Port): string {
  return `${address === undefined ? '' : `${address}:`}${host}:${guest}${protocol === 'udp' ? '/udp' : ''}`;
}

/** Host file or directory that is visible in the guest. Both paths are absolute and normalised. */
const VolumeSchema = v.object({ host: Path, guest: Path, read_only: v.boolean() });
export type Volume = v.InferOutput<typeof VolumeSchema>;

/** Host file, by its absolute path, that appears in the guest as `/run/secrets/<name>`, in memory. */
const SecretSchema = v.object({
  name: v.pipe(v.string(), v.regex(SECRET_NAME, 'is not a valid name of a secret')),
  path: Path,
});
export type Secret = v.InferOutput<typeof SecretSchema>;

/** Default size of a VM. */
export const DEFAULT_CPUS = 1;
export const DEFAULT_RAM_MIB = 128;
export const DEFAULT_DISK_MIB = 1024;

/** Validated service with defaults filled in: produced by `config/`, used by all other parts. */
const ServiceFields = v.object({
  name: ServiceName,
  /** Name of the service with `replicas` that it belongs to, or null; that name refers to all replicas. */
  replica_of: v.optional(v.nullable(Name), null),
  group: v.nullable(Name),
  isolation: IsolationSchema,
  /** Absolute path of a host directory with a root file system; null boots the built-in busybox root. */
  rootfs: v.nullable(Path),
  /** Name of an image to boot from, as users write it, or null; never together with `rootfs`. */
  image: v.optional(v.nullable(Line), null),
  /** Null only with an `image`: then its entrypoint is used, and without `args` its arguments as well. */
  command: v.nullable(Argument),
  args: listOf(Argument),
  /** Variables of the group merged with the service's own, which take precedence. */
  envs: Variables,
  /**
   * Absolute path inside the guest, or on the host for isolation `none`. Null only with an `image`, whose workdir is
   * used then.
   */
  workdir: v.nullable(Path),
  cpus: count(1),
  ram_mib: count(1),
  ports: listOf(PortSchema),
  /** The service's own volumes and those that it uses of its group; they do not overlap in the guest. */
  volumes: v.optional(listOf(VolumeSchema), []),
  secrets: v.optional(listOf(SecretSchema), []),
  depends_on: listOf(DependencySchema),
  /** Time for a graceful stop before the VM process gets SIGTERM, milliseconds. */
  stop_timeout_ms: amount(),
  /** Signal that asks the command to end; null for that of its image, or SIGTERM if there is none. */
  stop_signal: v.optional(v.nullable(StopSignalSchema), null),
  restart: v.optional(RestartSettingsSchema, DEFAULT_RESTART_SETTINGS),
  healthcheck: v.optional(v.nullable(HealthCheckSchema), null),
  on_unhealthy: v.optional(OnUnhealthySchema, 'none'),
  /** Size of the guest's own disk, MiB, which keeps written data until `remove`; null keeps it in memory. */
  disk_mib: v.optional(v.nullable(count(1)), null),
  /**
   * User of the command, `user` or `user:group`: in the guest, or on the host for isolation `none`. Null for the
   * default.
   */
  user: v.optional(v.nullable(v.pipe(v.string(), v.check(isCommandUser, 'is not a user or user:group'))), null),
  /** Host user, by name or number, that runs the VM process; null for the daemon's user. */
  host_user: v.optional(v.nullable(v.pipe(v.string(), v.check(isUser, 'is not the name or number of a user'))), null),
  /** Limit on open files of the process, RLIMIT_NOFILE of setrlimit(2); null leaves the daemon's limit. */
  open_files: v.optional(v.nullable(count(1)), null),
  /** CPU weight relative to other services, usually 1024; null leaves it to the kernel. */
  cpu_shares: v.optional(v.nullable(count(1)), null),
  log: LogSettingsSchema,
});
export type Service = v.InferOutput<typeof ServiceFields>;

/** Service in a config sent by a client or in a state file. Earlier versions wrote `base` for `image`. */
export const ServiceSchema = v.pipe(
  v.looseObject({ base: v.optional(v.unknown()) }),
  v.transform(({ base, ...fields }) => ({ image: base, ...fields })),
  ServiceFields,
);

export const GroupSchema = v.object({
  name: Name,
  /** Host address that the ports of its services are bound to; null for one of its own from 127.0.0.2 on. */
  address: v.optional(v.nullable(HostAddress), null),
  /** True if guests of this group can reach only each other. */
  local_only: v.boolean(),
});
export type Group = v.InferOutput<typeof GroupSchema>;

/** Project of a service: that of the config which declared it. It is identified by both fields together. */
export const ProjectSchema = v.object({
  name: Name,
  /** Absolute folder of the config. */
  folder: Path,
});
export type Project = v.InferOutput<typeof ProjectSchema>;

/** Complete, validated config, as the CLI sends it with `start`. */
export const ConfigSchema = v.object({
  /** Null for a config that does not come from a file. */
  project: v.optional(v.nullable(ProjectSchema), null),
  services: listOf(ServiceSchema),
  /** Names of other services in the file, whose profiles were not selected; a prune does not affect them. */
  unselected: v.optional(listOf(Name), []),
  groups: listOf(GroupSchema),
  /** Path of the kernel image set by `kernel` in the config; null for the kernel of the home or of the host. */
  kernel: v.nullable(Path),
  logs: HomeLogSettingsSchema,
  images: v.optional(ImageSettingsSchema, DEFAULT_IMAGE_SETTINGS),
});
export type Config = v.InferOutput<typeof ConfigSchema>;

/** Part of a config that applies to the whole home, see `orchestrator/home-settings.ts`. */
export const ProjectSettingsSchema = v.pick(ConfigSchema, ['project', 'logs', 'images']);
export type ProjectSettings = v.InferOutput<typeof ProjectSettingsSchema>;

/** Resource usage of a VM at the last sample. The field names are those of the Rust version. */
export const MetricsSchema = v.object({
  /** Percentage of one core since the previous sample; null before the second sample. */
  cpu_usage: v.nullable(v.number()),
  /** Resident memory of all processes of the service, bytes. */
  memory_usage: v.nullable(v.number()),
  /** Bytes since the previous sample. */
  disk_read_bytes: v.nullable(v.number()),
  disk_write_bytes: v.nullable(v.number()),
  /** Bytes since the process started. */
  total_disk_read_bytes: v.nullable(v.number()),
  total_disk_write_bytes: v.nullable(v.number()),
});
export type Metrics = v.InferOutput<typeof MetricsSchema>;

/** Metrics of a process that has not been sampled. */
export const NO_METRICS: Metrics = Object.freeze({
  cpu_usage: null,
  memory_usage: null,
  disk_read_bytes: null,
  disk_write_bytes: null,
  total_disk_read_bytes: null,
  total_disk_write_bytes: null,
});

/** Row of `monocore status`. */
export interface ServiceStatus {
  readonly name: string;
  /** Name of the service with `replicas` that it belongs to, or null. */
  readonly replica_of: string | null;
  /** Project that declared it; null if unknown. */
  readonly project: Project | null;
  /** True if the config of its project no longer declares it. */
  readonly undeclared: boolean;
  readonly group: string | null;
  readonly isolation: Isolation;
  readonly status: StatusName;
  readonly desired: 'up' | 'down';
  /** Result of its health check; null without one and while the service is not running. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | null;
  /** Message of the last probe, for people; null before the first probe. */
  readonly health_detail: string | null;
  /** Host process id of the VM (or of the supervised process); null if none is running. */
  readonly pid: number | null;
  /** Exit code of the service's command; null while it is running and if unknown. */
  readonly exit_code: number | null;
  /** Name of the signal that ended the command (`SIGKILL`), or null. */
  readonly signal: string | null;
  /** Reason for its failure, for people; null unless the status is `Failed` or the service is waiting for a retry. */
  readonly error: string | null;
  /** Reason for the end of its last run; null before the end. */
  readonly reason: EndReason | null;
  /** Step that ended it; null if it ended by itself or the step is unknown. */
  readonly ended_by: EndedBy | null;
  /** Last lines of its VM's console if it did not end in an orderly way; oldest first. */
  readonly last_lines: readonly string[];
  /** Current activity, for people: `booting`, `waiting for db`; null if there is none. */
  readonly detail: string | null;
  /** Reason why its output cannot be written at the moment, for people; otherwise null. */
  readonly log_stalled: string | null;
  /** Features that the service requested but the host does not provide, for people. */
  readonly notes: readonly string[];
  readonly group_ip: string | null;
  readonly cpus: number;
  readonly ram_mib: number;
  /** Host ports that are forwarded to the guest. */
  readonly ports: readonly ForwardedPort[];
  /** Host addresses that lead to the guest: `http://127.0.0.2:8080` for TCP, `udp://127.0.0.2:5353` for UDP. */
  readonly addresses: readonly string[];
  /** RFC 3339 time when the command was started. */
  readonly started_at: string | null;
  /** RFC 3339 time when it ended. */
  readonly stopped_at: string | null;
  readonly restarts: number;
  /** Reason for its last restart, for people; null if it was never restarted. */
  readonly last_restart_reason: string | null;
  /** RFC 3339 time of the next restart, while it is waiting for one. */
  readonly restarts_at: string | null;
  readonly metrics: Metrics;
}

/** Folders that the guest mounts itself; a volume must not be in one of them. */
const RESERVED_FOLDERS = ['/dev', '/proc', '/sys', '/run/secrets'];

/** Reason why a volume cannot be mounted at a normalised path of the guest, with a remedy; null if it can. */
export function findPlaceFault(guest: string): string | null {
  const remedy = 'choose another folder';
  if (guest === '/') return `the path in the guest must not be its root; ${remedy}`;
  if (guest === '/run') return `the path in the guest must not be /run, which is in memory; ${remedy}`;
  const folder = RESERVED_FOLDERS.find((reserved) => guest === reserved || guest.startsWith(`${reserved}/`));
  if (folder === undefined) return null;
  return `the path in the guest must not be in ${folder}, which the guest mounts itself; ${remedy}`;
}
