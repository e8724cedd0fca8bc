/** Definition and status of a service, in memory, state files and HTTP: snake_case, with the original's field names. */
import * as v from 'valibot';
import { DEFAULT_IMAGE_SETTINGS, ImageSettingsSchema } from './images.ts';
import {
  Argument,
  amount,
  count,
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

/** Status as a word; the data of each status is in {@link ServiceStatus}. */
export type StatusName = 'Unstarted' | 'Starting' | 'Started' | 'Stopping' | 'Stopped' | 'Failed';

/** Signals that may ask a command to end. By default each of them ends a process, see signal(7). */
export const StopSignalSchema = v.picklist(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']);

/** A forwarded port: `host` on the group's address (127.0.0.1 without group) to `guest`. */
const PortSchema = v.object({
  host: PortNumber,
  guest: PortNumber,
  protocol: v.optional(v.picklist(['tcp', 'udp']), 'tcp'),
});
export type Port = v.InferOutput<typeof PortSchema>;

/** A forwarded port with the address of the host that it is bound to. */
export interface ForwardedPort extends Port {
  readonly address: string;
}

/** A port as configs write it: `8080:80`, `5353:53/udp`. */
export function formatPort({ host, guest, protocol }: Port): string {
  return `${host}:${guest}${protocol === 'udp' ? '/udp' : ''}`;
}

/** A file or directory of the host that the guest sees. Both paths are absolute and normalised. */
const VolumeSchema = v.object({ host: Path, guest: Path, read_only: v.boolean() });
export type Volume = v.InferOutput<typeof VolumeSchema>;

/** A file of the host, by its absolute path, that the guest sees as `/run/secrets/<name>`, in memory. */
const SecretSchema = v.object({
  name: v.pipe(v.string(), v.regex(SECRET_NAME, 'is not a valid name of a secret')),
  path: Path,
});
export type Secret = v.InferOutput<typeof SecretSchema>;

/** Size of a VM for which the config gives none. */
export const DEFAULT_CPUS = 1;
export const DEFAULT_RAM_MIB = 128;
export const DEFAULT_DISK_MIB = 1024;

/** A service after validation, defaults filled in: produced by `config/`, taken by every other part. */
const ServiceFields = v.object({
  name: ServiceName,
  /** Name of the service with `replicas` that it belongs to, or null; that name stands for all of them. */
  replica_of: v.optional(v.nullable(Name), null),
  group: v.nullable(Name),
  isolation: IsolationSchema,
  /** Absolute path of a host directory with a root filesystem; null boots the built-in busybox root. */
  rootfs: v.nullable(Path),
  /** Name of an image to boot from, as people write it, or null; never together with `rootfs`. */
  image: v.optional(v.nullable(Line), null),
  /** Null only with an `image`: the entrypoint of the image then, and with no `args` its arguments as well. */
  command: v.nullable(Argument),
  args: listOf(Argument),
  /** Variables of the group and the service's own merged, the service's own last. */
  envs: Variables,
  /** Absolute path inside the guest; on the host for isolation `none`. Null only with an `image`: that of the image. */
  workdir: v.nullable(Path),
  cpus: count(1),
  ram_mib: count(1),
  ports: listOf(PortSchema),
  /** The service's own and those of its group that it takes, without overlap in the guest. */
  volumes: v.optional(listOf(VolumeSchema), []),
  secrets: v.optional(listOf(SecretSchema), []),
  depends_on: listOf(DependencySchema),
  /** Longest duration of a graceful stop before the VM process gets SIGTERM, milliseconds. */
  stop_timeout_ms: amount(),
  /** Signal that asks the command to end; null for the one of its image, or SIGTERM where there is none. */
  stop_signal: v.optional(v.nullable(StopSignalSchema), null),
  restart: v.optional(RestartSettingsSchema, DEFAULT_RESTART_SETTINGS),
  healthcheck: v.optional(v.nullable(HealthCheckSchema), null),
  on_unhealthy: v.optional(OnUnhealthySchema, 'none'),
  /** Size of the guest's own disk, MiB, which keeps what the guest writes until `remove`; null keeps it in memory. */
  disk_mib: v.optional(v.nullable(count(1)), null),
  /** User of the command, `user` or `user:group`: in the guest, or of the host for isolation `none`. Null for the default. */
  user: v.optional(v.nullable(v.pipe(v.string(), v.check(isCommandUser, 'is not a user or user:group'))), null),
  /** User of the host, by name or number, that the VM process runs as; null for the daemon's own. */
  host_user: v.optional(v.nullable(v.pipe(v.string(), v.check(isUser, 'is not the name or number of a user'))), null),
  /** Most open files of the process, RLIMIT_NOFILE of setrlimit(2); null leaves the daemon's. */
  open_files: v.optional(v.nullable(count(1)), null),
  /** Weight against other services when processors are short, usually 1024; null leaves it to the kernel. */
  cpu_shares: v.optional(v.nullable(count(1)), null),
  log: LogSettingsSchema,
});
export type Service = v.InferOutput<typeof ServiceFields>;

/** A service of a config that a client sends, or of a state file. Earlier versions wrote `base` for `image`. */
export const ServiceSchema = v.pipe(
  v.looseObject({ base: v.optional(v.unknown()) }),
  v.transform(({ base, ...fields }) => ({ image: base, ...fields })),
  ServiceFields,
);

export const GroupSchema = v.object({
  name: Name,
  /** True: guests of this group reach only each other. */
  local_only: v.boolean(),
});
export type Group = v.InferOutput<typeof GroupSchema>;

/** Project of a service: that of the config which declared it. Both fields together identify it. */
export const ProjectSchema = v.object({
  name: Name,
  /** Folder of the config, absolute. */
  folder: Path,
});
export type Project = v.InferOutput<typeof ProjectSchema>;

/** A whole config after validation, as the CLI sends it with `start`. */
export const ConfigSchema = v.object({
  /** Null for a config that was not read from a file. */
  project: v.optional(v.nullable(ProjectSchema), null),
  services: listOf(ServiceSchema),
  /** Names of the other services of the file, whose profiles were not chosen: a prune leaves them as they are. */
  unselected: v.optional(listOf(Name), []),
  groups: listOf(GroupSchema),
  /** Path of the kernel image that `kernel` in the config names, or null for the cached or the host's one. */
  kernel: v.nullable(Path),
  logs: HomeLogSettingsSchema,
  images: v.optional(ImageSettingsSchema, DEFAULT_IMAGE_SETTINGS),
});
export type Config = v.InferOutput<typeof ConfigSchema>;

/** Resource usage of a VM by the last sample. The field names are those of the original. */
export const MetricsSchema = v.object({
  /** Per cent of one core since the previous sample; null before the second one. */
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

/** A row of `monocore status`. */
export interface ServiceStatus {
  readonly name: string;
  /** Name of the service with `replicas` that it belongs to, or null. */
  readonly replica_of: string | null;
  /** Project that declared it; null where none is known. */
  readonly project: Project | null;
  /** True when the config of its project no longer declares it. */
  readonly undeclared: boolean;
  readonly group: string | null;
  readonly isolation: Isolation;
  readonly status: StatusName;
  readonly desired: 'up' | 'down';
  /** Result of its health check; null without one, and while it does not run. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | null;
  /** Message of the last probe, for people; null before the first one. */
  readonly health_detail: string | null;
  /** Process id on the host of the VM (or of the supervised process); null when none runs. */
  readonly pid: number | null;
  /** Exit code of the service's command; null while it runs, and where it is not known. */
  readonly exit_code: number | null;
  /** Name of the signal that ended the command (`SIGKILL`), or null. */
  readonly signal: string | null;
  /** Why it failed, for people; null unless the status is `Failed`, or it waits to be tried again after a failure. */
  readonly error: string | null;
  /** Why its last run ended; null before its end. */
  readonly reason: EndReason | null;
  /** Step that ended it; null where it ended by itself, and where that is not known. */
  readonly ended_by: EndedBy | null;
  /** Last lines of its VM's console, where it did not end in order; oldest first. */
  readonly last_lines: readonly string[];
  /** Present activity, for people: `booting`, `waiting for db`; null when there is none. */
  readonly detail: string | null;
  /** Reason why its output cannot be written at the moment, for people; null while it can. */
  readonly log_stalled: string | null;
  /** Features that the service asked for and the host does not offer, for people. */
  readonly notes: readonly string[];
  readonly group_ip: string | null;
  readonly cpus: number;
  readonly ram_mib: number;
  /** Ports of the host that lead to the guest. */
  readonly ports: readonly ForwardedPort[];
  /** Addresses of the host that lead to the guest: `http://127.0.0.2:8080` for TCP, `udp://127.0.0.2:5353` for UDP. */
  readonly addresses: readonly string[];
  /** RFC 3339; when the command was started. */
  readonly started_at: string | null;
  /** RFC 3339; when it ended. */
  readonly stopped_at: string | null;
  readonly restarts: number;
  /** Why it was restarted last, for people; null where it never was. */
  readonly last_restart_reason: string | null;
  /** RFC 3339; time of the next restart, while it waits for it. */
  readonly restarts_at: string | null;
  readonly metrics: Metrics;
}

/** Folders that the guest mounts itself; a volume can be neither there nor below. */
const RESERVED_FOLDERS = ['/dev', '/proc', '/sys', '/run/secrets'];

/** Reason why a volume cannot be at a normalised path of the guest, with a remedy; null when it can. */
export function findPlaceFault(guest: string): string | null {
  const remedy = 'choose another folder';
  if (guest === '/') return `the path in the guest must not be its root; ${remedy}`;
  if (guest === '/run') return `the path in the guest must not be /run, which is in memory; ${remedy}`;
  const folder = RESERVED_FOLDERS.find((reserved) => guest === reserved || guest.startsWith(`${reserved}/`));
  if (folder === undefined) return null;
  return `the path in the guest must not be in ${folder}, which the guest mounts itself; ${remedy}`;
}
