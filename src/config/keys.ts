/**
 * Table of the config keys. The parser, `[defaults]`, the JSON Schema, `config show`, the differences of a plan and the
 * reference in the manual are generated from these rows. To add a key, add a row here, a field in `protocol/service.ts`
 * and the code that applies it.
 *
 * Long because the table is easier to read as a whole.
 */
import * as v from 'valibot';
import { DAY_MS, HOUR_MS, KIB, MIB, SECOND_MS } from '../lib/units.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '../protocol/images.ts';
import { IsolationSchema } from '../protocol/isolation.ts';
import {
  DEFAULT_LOG_SETTINGS,
  type HomeLogSettings,
  LogCompressionSchema,
  LogFormatSchema,
  LogLevelSchema,
  type LogSettings,
  OnFullSchema,
} from '../protocol/log-settings.ts';
import {
  type Config,
  DEFAULT_CPUS,
  DEFAULT_DISK_MIB,
  DEFAULT_RAM_MIB,
  type Group,
  type Service,
} from '../protocol/service.ts';
import {
  ConditionSchema,
  DEFAULT_RESTART_SETTINGS,
  type Dependency,
  type HealthCheck,
  OnUnhealthySchema,
  RestartWhenSchema,
} from '../protocol/supervision.ts';
import * as amount from './schema/amounts.ts';
import { Command } from './schema/command.ts';
import { ExecProbe, HttpProbe, LogLineProbe, TcpProbe } from './schema/healthcheck.ts';
import { Secrets, Variables } from './schema/pairs.ts';
import { BindAddress, PortMapping, PortMappings } from './schema/ports.ts';
import {
  defaulted,
  type EntriesType,
  type KeyTable,
  type KeyTableOf,
  nested,
  optional,
  type ParsedTable,
  required,
  type TablesType,
  type TableType,
  type Values,
} from './schema/types.ts';
import * as type from './schema/values.ts';
import { expandGroupVolume, GroupMount, HostPlace, Volumes } from './schema/volumes.ts';

/** Ten years: anything longer is a typing error or means "forever". */
const MAX_AGE_MS = 3650 * DAY_MS;
/** Longest stop timeout. Node's timers overflow past 24.8 days and then fire at once. */
const MAX_STOP_TIMEOUT_MS = DAY_MS;
const MIN_LOG_FILE_BYTES = 4 * KIB;
/** gzip stores the uncompressed size in 32 bits (RFC 1952), and a log file may slightly exceed its limit. */
const MAX_LOG_FILE_BYTES = 2 ** 31;
/** A JSON record is written as a whole, so the whole line must be held in memory. */
const MAX_LOG_LINE_BYTES = 16 * MIB;
/** Far more than a host can run, and few enough to list. */
const MAX_REPLICAS = 256;
/** With fewer descriptors, a process cannot even load its libraries. */
const MIN_OPEN_FILES = 64;
/** NR_OPEN of Linux, the most that RLIMIT_NOFILE may be by default: see proc_sys_fs(5). */
const MAX_OPEN_FILES = 1_048_576;
/** Limits of cpu.shares in cgroup v1; v2's cpu.weight is scaled from it. */
const CPU_SHARES = [2, 262_144] as const;

const NAME = 'up to 63 of a-z, 0-9, "-" and "_", the first and the last a letter or a digit';
const NO_LIMIT = 'no limit';

function table<K extends KeyTable>(header: string, keys: K): TableType<K> {
  return { kind: 'table', header, keys };
}

function tables<K extends KeyTable>(header: string, keys: K): TablesType<K> {
  return { kind: 'tables', header, keys };
}

const LOG_KEYS = {
  format: defaulted(
    'lines as text, or one JSON object per line in the style of pino',
    type.choice(LogFormatSchema.options, 'is not a log format'),
    DEFAULT_LOG_SETTINGS.format,
  ),
  stderr_level: defaulted(
    'level of the records of stderr, for programs that write all their messages there',
    type.choice(LogLevelSchema.options, 'is not a level'),
    DEFAULT_LOG_SETTINGS.stderr_level,
  ),
  max_size: defaulted(
    'size at which a file is rotated, at the next newline',
    amount.size(MIN_LOG_FILE_BYTES, MAX_LOG_FILE_BYTES),
    DEFAULT_LOG_SETTINGS.max_size_bytes,
  ),
  max_age: optional('age at which a file is rotated, by the next line', amount.duration(SECOND_MS, MAX_AGE_MS, '7d'), {
    unset: NO_LIMIT,
  }),
  keep: optional('number of finished files to keep of each stream', amount.count('a number of files'), {
    field: 'keep_files',
    unset: NO_LIMIT,
  }),
  keep_total: defaulted(
    'total size of the log files of the service; the oldest finished files are removed first',
    amount.sizeOr('unlimited', MIN_LOG_FILE_BYTES, '1GiB'),
    DEFAULT_LOG_SETTINGS.keep_total_bytes,
  ),
  keep_for: defaulted(
    'time to keep a finished file after its last line',
    amount.durationOr('forever', SECOND_MS, MAX_AGE_MS, '7d'),
    DEFAULT_LOG_SETTINGS.keep_for_ms,
  ),
  compress: defaulted(
    'compression of finished files',
    type.choice(LogCompressionSchema.options, 'is not a kind of compression'),
    DEFAULT_LOG_SETTINGS.compress,
  ),
  compress_delay: defaulted(
    'time between the end of a file and its compression, so that shippers can read it',
    amount.duration(0, DAY_MS, '1m'),
    DEFAULT_LOG_SETTINGS.compress_delay_ms,
  ),
  max_line: defaulted(
    'maximum length of a line; a longer one is split into several records',
    amount.size(KIB, MAX_LOG_LINE_BYTES, '256KiB'),
    DEFAULT_LOG_SETTINGS.max_line_bytes,
  ),
  on_full: defaulted(
    'while the disk is full, the service waits (block), or its output is dropped and counted (drop)',
    type.choice(OnFullSchema.options, 'is not a valid action'),
    DEFAULT_LOG_SETTINGS.on_full,
  ),
} satisfies KeyTableOf<LogSettings>;

export const HEALTH_KEYS = {
  tcp: optional('port of the guest that must accept a connection', TcpProbe, { field: 'probe' }),
  http: optional('page in the guest that must answer with a status from 200 to 399', HttpProbe, { field: 'probe' }),
  exec: optional('command in the guest that must exit with code 0', ExecProbe, { field: 'probe' }),
  log_line: optional(
    'pattern for a line of output, with or without a newline; once it matches, the service is healthy',
    LogLineProbe,
    {
      field: 'probe',
    },
  ),
  interval: defaulted('interval between probes', amount.duration(100, DAY_MS, '10s'), 10 * SECOND_MS),
  timeout: defaulted('time after which a probe counts as failed', amount.duration(100, HOUR_MS, '10s'), 5 * SECOND_MS),
  start_period: defaulted(
    'time after the start during which failures do not count',
    amount.duration(0, DAY_MS, '10s'),
    10 * SECOND_MS,
  ),
  retries: defaulted(
    'number of consecutive failures that make the service unhealthy',
    amount.integer(1, 1000, 'a number of failures in a row,'),
    3,
  ),
} satisfies KeyTableOf<HealthCheck>;

const DEPENDENCY_KEYS = {
  service: required('name of the service to wait for', type.scalar(type.Text, 'the name of a [[service]]')),
  condition: defaulted(
    'state that the other service must have reached',
    type.choice(ConditionSchema.options, 'is not a condition'),
    'started',
  ),
} satisfies KeyTableOf<Dependency>;

const Dependencies: EntriesType<typeof DEPENDENCY_KEYS> = {
  kind: 'entries',
  header: '[[service.depends_on]]',
  keys: DEPENDENCY_KEYS,
  expected: 'an array of names, or of tables such as { service = "db", condition = "healthy" }',
  expand: (service) => ({ service, condition: 'started' }),
};

const GROUP_VOLUME_KEYS = {
  name: required('name of the volume', type.scalar(type.Text, 'the name of a [[group.volume]]')),
  mount: optional('part of the volume, and its path in the guest', GroupMount, { unset: 'all of it' }),
};

const GroupVolumes: EntriesType<typeof GROUP_VOLUME_KEYS> = {
  kind: 'entries',
  header: '[[service.group_volumes]]',
  keys: GROUP_VOLUME_KEYS,
  expected:
    'an array of "name", "name:/guest" or "name:/guest:ro", or of tables such as { name = "data", mount = "logs:/var/log" }',
  expand: expandGroupVolume,
};

export const SERVICE_KEYS = {
  name: required('name of the service', type.scalar(type.ServiceName, NAME), { change: 'services' }),
  replicas: optional(
    'number of identical services: `web-1`, `web-2` and so on; `web` means all of them',
    amount.integer(1, MAX_REPLICAS, 'a number of identical services,'),
    { field: null, otherNames: ['scale'], change: 'services', unset: 'one service, without a number' },
  ),
  profiles: defaulted(
    'profiles that include the service; without any, or if it is named or needed by another service, it is always included',
    type.scalar(type.list(type.Name), 'an array of names such as ["dev"]'),
    [],
    { field: null, change: 'services' },
  ),
  group: defaulted(
    'group whose address, network and variables it shares',
    type.scalar(v.nullable(type.Text), 'the name of a [[group]]'),
    null,
    { inherited: true },
  ),
  isolation: defaulted(
    'a microVM, or a plain process of the host under the same supervision',
    type.choice(IsolationSchema.options, 'is not a kind of isolation'),
    'vm',
    { inherited: true },
  ),
  rootfs: optional(
    'host directory with the root file system; changes of the guest go to a layer above it and never into it',
    type.scalar(type.hostPath, 'the path of a directory'),
    { inherited: true, needs: 'images' },
  ),
  image: optional('image to boot from instead of a `rootfs`; pulled at the first start', type.ImageName, {
    alias: 'base',
    inherited: true,
    needs: 'images',
  }),
  command: optional('program to run, and its first arguments; required without an `image`', Command, {
    otherNames: ['entrypoint', 'cmd'],
    unset: "the image's",
  }),
  args: defaulted('arguments of the command', type.Arguments, [], {
    difference: 'hidden',
  }),
  envs: defaulted(
    'variables; references such as `$NAME` in braces are resolved at the start',
    Variables,
    {},
    { inherited: true, otherNames: ['environment'], difference: { noun: 'variables' } },
  ),
  env_file: defaulted(
    'files of `NAME=value` lines; later files override earlier ones, and `envs` overrides all of them',
    type.HostPaths,
    [],
    { field: null, inherited: true },
  ),
  group_envs: defaulted(
    'tables of variables that it uses from its group',
    type.scalar(type.list(type.Text), 'an array of names of [[group.env]]'),
    [],
    { field: null },
  ),
  workdir: optional(
    'working directory of the command; `/` without an image',
    type.scalar(type.AbsolutePath, 'an absolute path such as "/srv"'),
    { inherited: true, otherNames: ['working_dir', 'cwd'], unset: "the image's" },
  ),
  cpus: defaulted('processors of the VM', amount.Cpus, DEFAULT_CPUS, { inherited: true }),
  ram: defaulted('memory of the VM; a bare number is MiB', amount.Ram, DEFAULT_RAM_MIB, {
    inherited: true,
    otherNames: ['memory', 'mem_limit'],
  }),
  port: optional(
    'host port that is forwarded to a guest port; bound to the address in front of it (`"0.0.0.0:80:80"`: all addresses of the host), or else to that of the group, or else to 127.0.0.1',
    PortMapping,
    { field: null, needs: 'ports' },
  ),
  ports: defaulted('several port mappings', PortMappings, [], { needs: 'ports' }),
  volumes: defaulted('host directories and files to share with the guest', Volumes, [], {
    needs: 'files',
    otherNames: ['mounts'],
    difference: { noun: 'volumes', by: 'guest' },
  }),
  group_volumes: nested(
    'volumes that it uses from its group; its own take precedence at the same path of the guest',
    GroupVolumes,
    { field: null, needs: 'files' },
  ),
  secrets: defaulted('host files that appear in the guest as `/run/secrets/NAME`, in memory', Secrets, [], {
    needs: 'files',
    difference: { noun: 'secrets', by: 'name' },
  }),
  depends_on: nested('services that are started first and stopped last', Dependencies, {
    otherNames: ['depends'],
    difference: { noun: 'dependencies', by: 'service' },
  }),
  stop_timeout: defaulted(
    'time that a graceful stop may take',
    amount.duration(0, MAX_STOP_TIMEOUT_MS, '10s'),
    10 * SECOND_MS,
    { inherited: true },
  ),
  stop_signal: optional(
    'signal that asks the command to end; by default that of the image, or else TERM',
    type.StopSignal,
    { inherited: true, unset: 'the default' },
  ),
  restart: defaulted(
    'when to restart the service after it has ended by itself',
    type.choice(RestartWhenSchema.options, 'is not a restart policy'),
    DEFAULT_RESTART_SETTINGS.when,
    { field: 'restart.when', inherited: true },
  ),
  max_restarts: optional(
    'number of consecutive restarts before it counts as failed',
    amount.integer(1, 1_000_000, 'a number of restarts in a row,'),
    { field: 'restart.max_restarts', inherited: true, onlyWith: 'restarts', unset: NO_LIMIT },
  ),
  restart_reset: defaulted(
    'length of a run that resets the count of consecutive restarts',
    amount.duration(SECOND_MS, DAY_MS, '1m'),
    DEFAULT_RESTART_SETTINGS.reset_ms,
    { field: 'restart.reset_ms', inherited: true, onlyWith: 'restarts' },
  ),
  max_memory: optional('resident memory of its processes above which it is restarted', amount.HostMemory, {
    field: 'restart.max_memory_bytes',
    inherited: true,
    unset: NO_LIMIT,
  }),
  healthcheck: optional('check whether the service works', table('[service.healthcheck]', HEALTH_KEYS)),
  on_unhealthy: defaulted(
    'action when the health check fails',
    type.choice(OnUnhealthySchema.options, 'is not a valid action'),
    'none',
    { inherited: true, onlyWith: 'healthcheck' },
  ),
  disk: defaulted(
    'size of the disk, which keeps data of the guest until `remove`; `"none"` keeps it in memory',
    amount.Disk,
    DEFAULT_DISK_MIB,
    { inherited: true, needs: 'disk' },
  ),
  user: optional(
    'user that runs the command: `user` or `user:group` in the guest, by default that of the image; for a plain process a host user',
    type.CommandUser,
    { inherited: true, unset: 'the default' },
  ),
  host_user: optional('host user that runs the VM process; the daemon must run as root', type.HostUser, {
    inherited: true,
    needs: 'guest',
    unset: "the daemon's",
  }),
  open_files: optional('limit on open files of the VM process', amount.integer(MIN_OPEN_FILES, MAX_OPEN_FILES), {
    inherited: true,
    otherNames: ['ulimits'],
    unset: "the daemon's",
  }),
  cpu_shares: optional(
    'CPU weight relative to other services when processors are busy',
    amount.integer(...CPU_SHARES, 'a number', '; 1024 is the usual value'),
    { inherited: true, unset: 'the default' },
  ),
  log: nested('log files of the service', table('[service.log]', LOG_KEYS), { inherited: true }),
} satisfies KeyTableOf<Service>;

const GROUP_ENV_KEYS = {
  name: required('name by which services refer to the variables', type.scalar(type.Name, NAME)),
  envs: required('variables', Variables),
};

const GROUP_VOLUME_TABLE_KEYS = {
  name: required(
    'name by which services refer to the volume',
    type.scalar(type.Name, 'a name by which services refer to the volume'),
  ),
  path: required('file or directory of the host', HostPlace),
};

const GROUP_KEYS = {
  name: required('name of the group', type.scalar(type.Name, NAME)),
  address: optional('host address that ports of its services are bound to', BindAddress, {
    unset: 'one of its own, from 127.0.0.2 on',
  }),
  envs: defaulted('variables of all its services', Variables, {}, { field: null }),
  env: nested('variables for services that ask for them', tables('[[group.env]]', GROUP_ENV_KEYS), { field: null }),
  volume: nested('volumes for services that ask for them', tables('[[group.volume]]', GROUP_VOLUME_TABLE_KEYS), {
    field: null,
  }),
  local_only: defaulted(
    'its guests reach each other and nothing else; with `false` they reach other hosts, too, but no address of this one',
    type.scalar(type.Flag, 'true or false'),
    true,
  ),
} satisfies KeyTableOf<Group>;

/** Keys that make sense for many services: not those that identify a service or that two services cannot share. */
export const DEFAULT_KEYS: KeyTable = Object.fromEntries(
  Object.entries<KeyTable[string]>(SERVICE_KEYS).filter(([, key]) => key.inherited),
);

const LOGS_KEYS = {
  keep_total: optional('total size of all log files of the home', amount.size(MIN_LOG_FILE_BYTES), {
    change: 'live',
    unset: NO_LIMIT,
  }),
} satisfies KeyTableOf<HomeLogSettings>;

const IMAGE_KEYS = {
  insecure_registries: defaulted('registries to contact over plain HTTP', type.Registries, [], { change: 'live' }),
  max_image_size: defaulted(
    'maximum size of an image, both compressed and unpacked',
    amount.size(MIB, 2 ** 50, '16GiB'),
    DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
    { change: 'live' },
  ),
} satisfies KeyTableOf<ImageSettings>;

/** Keys at the top of the document; all others belong to tables. */
export const DOCUMENT_KEYS = {
  $schema: optional(
    'JSON Schema of the file, for completion in editors',
    type.scalar(type.Text, 'the address of a JSON schema'),
    { field: null, change: 'live' },
  ),
  name: optional(
    'name of the project to which the services belong; the project also includes the folder of the file',
    type.scalar(type.Name, NAME),
    { field: 'project.name', change: 'services', unset: 'the name of the folder' },
  ),
  kernel: optional(
    'kernel of the guests, unless `start --kernel` names another one',
    type.scalar(type.hostPath, 'the path of a kernel image'),
    { unset: 'the default' },
  ),
  logs: nested('log files of the home', table('[logs]', LOGS_KEYS), { change: 'live' }),
  images: nested('images of the home', table('[images]', IMAGE_KEYS), { change: 'live' }),
  defaults: nested(
    'defaults for all services; `envs` and `log` are merged key by key',
    table('[defaults]', DEFAULT_KEYS),
    { field: null },
  ),
  group: nested('groups of services', tables('[[group]]', GROUP_KEYS), { field: 'groups' }),
  service: nested('services', tables('[[service]]', SERVICE_KEYS), { field: 'services', change: 'services' }),
} satisfies KeyTableOf<Config>;

export type DocumentValues = Values<typeof DOCUMENT_KEYS>;
export type ServiceValues = Values<typeof SERVICE_KEYS>;
export type GroupValues = Values<typeof GROUP_KEYS>;
export type ParsedService = ParsedTable<ServiceValues>;
export type ParsedGroup = ParsedTable<GroupValues>;
