/**
 * The keys of a config. The parser, `[defaults]`, the JSON Schema, `config show`, the differences of a plan and the reference
 * in the manual are loops over these rows. A new key is a row here, a field in `protocol/service.ts` and its effect.
 * Long because a table is read as a whole.
 */
import * as v from 'valibot';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '../protocol/images.ts';
import { IsolationSchema } from '../protocol/isolation.ts';
import {
  DEFAULT_LOG_SETTINGS,
  type HomeLogSettings,
  LogCompressionSchema,
  LogFormatSchema,
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
import { ExecProbe, HttpProbe, LogLineProbe, TcpProbe } from './schema/healthcheck.ts';
import { Secrets, Variables } from './schema/pairs.ts';
import { PortMapping, PortMappings } from './schema/ports.ts';
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
import { expandGroupVolume, GroupMount, Volumes } from './schema/volumes.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const SECOND_MS = 1000;
const HOUR_MS = 3600e3;
const DAY_MS = 24 * HOUR_MS;
/** Ten years: anything longer is a typing error, or meant as "forever". */
const MAX_AGE_MS = 3650 * DAY_MS;
/** Longest stop timeout: timers of the runtime overflow, and fire at once, past 24.8 days. */
const MAX_STOP_TIMEOUT_MS = DAY_MS;
const MIN_LOG_FILE_BYTES = 4 * KIB;
/** gzip notes the size of what it compressed in 32 bits (RFC 1952), and a file may end behind its limit. */
const MAX_LOG_FILE_BYTES = 2 ** 31;
/** JSON needs a whole line in memory before it can be written. */
const MAX_LOG_LINE_BYTES = 16 * MIB;
/** Far more than a host can run, and few enough to list. */
const MAX_REPLICAS = 256;
/** With fewer, a process cannot even load its libraries. */
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
  format: defaulted(type.choice(LogFormatSchema.options, 'is not a log format'), DEFAULT_LOG_SETTINGS.format, {
    field: 'format',
    summary: 'lines as text, or a JSON object a line in the shape of pino',
  }),
  max_size: defaulted(amount.size(MIN_LOG_FILE_BYTES, MAX_LOG_FILE_BYTES), DEFAULT_LOG_SETTINGS.max_size_bytes, {
    field: 'max_size_bytes',
    summary: 'size of a file; the newline that crosses it ends the file',
  }),
  max_age: optional(amount.duration(SECOND_MS, MAX_AGE_MS, '7d'), {
    field: 'max_age_ms',
    summary: 'age of a file; the first line after it begins another one',
    unset: NO_LIMIT,
  }),
  keep: optional(amount.count('a number of files'), {
    field: 'keep_files',
    summary: 'number of finished files of each stream that are kept',
    unset: NO_LIMIT,
  }),
  keep_total: optional(amount.size(MIN_LOG_FILE_BYTES), {
    field: 'keep_total_bytes',
    summary: 'size of all log files of the service together; the oldest are removed first',
    unset: NO_LIMIT,
  }),
  keep_for: defaulted(amount.durationOr('forever', SECOND_MS, MAX_AGE_MS, '7d'), DEFAULT_LOG_SETTINGS.keep_for_ms, {
    field: 'keep_for_ms',
    summary: 'time that a finished file is kept after its last line',
  }),
  compress: defaulted(
    type.choice(LogCompressionSchema.options, 'is not a kind of compression'),
    DEFAULT_LOG_SETTINGS.compress,
    { field: 'compress', summary: 'compression of finished files' },
  ),
  compress_delay: defaulted(amount.duration(0, DAY_MS, '1m'), DEFAULT_LOG_SETTINGS.compress_delay_ms, {
    field: 'compress_delay_ms',
    summary: 'time from the end of a file to its compression, in which shippers read it',
  }),
  max_line: defaulted(amount.size(KIB, MAX_LOG_LINE_BYTES, '256KiB'), DEFAULT_LOG_SETTINGS.max_line_bytes, {
    field: 'max_line_bytes',
    summary: 'length of a line; a longer one becomes several records',
  }),
  on_full: defaulted(type.choice(OnFullSchema.options, 'is not a valid action'), DEFAULT_LOG_SETTINGS.on_full, {
    field: 'on_full',
    summary: 'while the disk is full, the service waits (block), or its output is dropped and counted (drop)',
  }),
} satisfies KeyTableOf<LogSettings>;

export const HEALTH_KEYS = {
  tcp: optional(TcpProbe, { field: 'probe', summary: 'port of the guest that must accept a connection' }),
  http: optional(HttpProbe, {
    field: 'probe',
    summary: 'page in the guest that must answer with a status from 200 to 399',
  }),
  exec: optional(ExecProbe, { field: 'probe', summary: 'command in the guest that must end with status 0' }),
  log_line: optional(LogLineProbe, {
    field: 'probe',
    summary: 'pattern of a line that the service prints; healthy from then on',
  }),
  interval: defaulted(amount.duration(100, DAY_MS, '10s'), 10 * SECOND_MS, {
    field: 'interval_ms',
    summary: 'time from one probe to the next',
  }),
  timeout: defaulted(amount.duration(100, HOUR_MS, '10s'), 5 * SECOND_MS, {
    field: 'timeout_ms',
    summary: 'time after which a probe has failed',
  }),
  start_period: defaulted(amount.duration(0, DAY_MS, '10s'), 10 * SECOND_MS, {
    field: 'start_period_ms',
    summary: 'time after the start in which failures do not count',
  }),
  retries: defaulted(amount.integer(1, 1000, 'a number of failures in a row,'), 3, {
    field: 'retries',
    summary: 'failures in a row that make the service unhealthy',
  }),
} satisfies KeyTableOf<HealthCheck>;

const DEPENDENCY_KEYS = {
  service: required(type.scalar(type.Text, 'the name of a [[service]]'), {
    field: 'service',
    summary: 'name of the service that must come first',
  }),
  condition: defaulted(type.choice(ConditionSchema.options, 'is not a condition'), 'started', {
    field: 'condition',
    summary: 'state that the other service must have reached',
  }),
} satisfies KeyTableOf<Dependency>;

const Dependencies: EntriesType<typeof DEPENDENCY_KEYS> = {
  kind: 'entries',
  header: '[[service.depends_on]]',
  keys: DEPENDENCY_KEYS,
  expected: 'an array of names, or of tables such as { service = "db", condition = "healthy" }',
  expand: (service) => ({ service, condition: 'started' }),
};

const GROUP_VOLUME_KEYS = {
  name: required(type.scalar(type.Text, 'the name of a [[group.volume]]'), { summary: 'name of the volume' }),
  mount: optional(GroupMount, { summary: 'part of the volume, and its place in the guest', unset: 'all of it' }),
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
  name: required(type.scalar(type.ServiceName, NAME), {
    field: 'name',
    summary: 'name of the service',
    change: 'services',
  }),
  replicas: optional(amount.integer(1, MAX_REPLICAS, 'a number of services that are alike,'), {
    otherNames: ['scale'],
    summary: 'number of services that are alike: `web-1`, `web-2` and so on; `web` stands for all of them',
    change: 'services',
    unset: 'one service, without a number',
  }),
  profiles: defaulted(type.scalar(type.list(type.Name), 'an array of names such as ["dev"]'), [], {
    summary: 'profiles, one of which must be chosen for the service to be there, unless it is named or needed',
    change: 'services',
  }),
  group: defaulted(type.scalar(v.nullable(type.Text), 'the name of a [[group]]'), null, {
    field: 'group',
    inherited: true,
    summary: 'group whose address, network and variables it shares',
  }),
  isolation: defaulted(type.choice(IsolationSchema.options, 'is not a kind of isolation'), 'vm', {
    field: 'isolation',
    inherited: true,
    summary: 'a microVM, or a plain process of the host under the same supervision',
  }),
  rootfs: optional(type.scalar(type.hostPath, 'the path of a directory'), {
    field: 'rootfs',
    inherited: true,
    needs: 'images',
    summary: 'directory of the host to boot from; the guest sees it below a layer of its own and cannot change it',
  }),
  image: optional(type.ImageName, {
    field: 'image',
    alias: 'base',
    inherited: true,
    needs: 'images',
    summary: 'image to boot from in the place of `rootfs`, pulled at the first start',
  }),
  command: optional(type.scalar(type.Printable, 'a program such as "/bin/sh"'), {
    field: 'command',
    otherNames: ['entrypoint', 'cmd'],
    summary: 'program that the service is; required without an `image`',
    unset: "the image's",
  }),
  args: defaulted(type.scalar(type.list(type.Argument), 'an array of strings'), [], {
    field: 'args',
    summary: 'arguments of the command',
    difference: 'hidden',
  }),
  envs: defaulted(
    Variables,
    {},
    {
      field: 'envs',
      inherited: true,
      otherNames: ['environment'],
      summary: 'variables; references such as `$NAME` in braces are resolved by the daemon',
      difference: { noun: 'variables' },
    },
  ),
  env_file: defaulted(type.HostPaths, [], {
    inherited: true,
    summary: 'files of `NAME=value` lines, of which later ones win; `envs` wins over them',
  }),
  group_envs: defaulted(type.scalar(type.list(type.Text), 'an array of names of [[group.env]]'), [], {
    summary: 'tables of variables that it takes from its group',
  }),
  workdir: optional(type.scalar(type.AbsolutePath, 'an absolute path such as "/srv"'), {
    field: 'workdir',
    inherited: true,
    otherNames: ['working_dir', 'cwd'],
    summary: 'working directory of the command; `/` without an image',
    unset: "the image's",
  }),
  cpus: defaulted(amount.Cpus, DEFAULT_CPUS, { field: 'cpus', inherited: true, summary: 'processors of the VM' }),
  ram: defaulted(amount.Ram, DEFAULT_RAM_MIB, {
    field: 'ram_mib',
    inherited: true,
    otherNames: ['memory', 'mem_limit'],
    summary: 'memory of the VM; a bare number is MiB',
  }),
  port: optional(PortMapping, {
    needs: 'ports',
    summary:
      'port of the host that leads to a port of the guest; it is bound on the address of the group, else on 127.0.0.1',
  }),
  ports: defaulted(PortMappings, [], { field: 'ports', needs: 'ports', summary: 'several of them' }),
  volumes: defaulted(Volumes, [], {
    field: 'volumes',
    needs: 'files',
    otherNames: ['mounts'],
    summary: 'directories and files of the host that the guest sees and changes',
    difference: { noun: 'volumes', by: 'guest' },
  }),
  group_volumes: nested(GroupVolumes, {
    needs: 'files',
    summary: 'volumes that it takes from its group; its own win at the same place of the guest',
  }),
  secrets: defaulted(Secrets, [], {
    field: 'secrets',
    needs: 'files',
    summary: 'files of the host that the guest has as `/run/secrets/NAME`, in memory',
    difference: { noun: 'secrets', by: 'name' },
  }),
  depends_on: nested(Dependencies, {
    field: 'depends_on',
    otherNames: ['depends'],
    summary: 'services that are started first and stopped last',
    difference: { noun: 'dependencies', by: 'service' },
  }),
  stop_timeout: defaulted(amount.duration(0, MAX_STOP_TIMEOUT_MS, '10s'), 10 * SECOND_MS, {
    field: 'stop_timeout_ms',
    inherited: true,
    summary: 'time that a graceful stop may take',
  }),
  stop_signal: optional(type.StopSignal, {
    field: 'stop_signal',
    inherited: true,
    summary: 'signal that asks the command to end: by default the one of the image, else TERM',
    unset: 'the default',
  }),
  restart: defaulted(type.choice(RestartWhenSchema.options, 'is not a restart policy'), DEFAULT_RESTART_SETTINGS.when, {
    field: 'restart.when',
    inherited: true,
    summary: 'when the service is started again after it ended by itself',
  }),
  max_restarts: optional(amount.integer(1, 1_000_000, 'a number of restarts in a row,'), {
    field: 'restart.max_restarts',
    inherited: true,
    onlyWith: 'restarts',
    summary: 'restarts in a row before it counts as failed',
    unset: NO_LIMIT,
  }),
  restart_reset: defaulted(amount.duration(SECOND_MS, DAY_MS, '1m'), DEFAULT_RESTART_SETTINGS.reset_ms, {
    field: 'restart.reset_ms',
    inherited: true,
    onlyWith: 'restarts',
    summary: 'length of a run after which the row of restarts begins anew',
  }),
  max_memory: optional(amount.HostMemory, {
    field: 'restart.max_memory_bytes',
    inherited: true,
    summary: 'resident memory of its process at which it is restarted',
    unset: NO_LIMIT,
  }),
  healthcheck: optional(table('[service.healthcheck]', HEALTH_KEYS), {
    field: 'healthcheck',
    summary: 'check whether the service works',
  }),
  on_unhealthy: defaulted(type.choice(OnUnhealthySchema.options, 'is not a valid action'), 'none', {
    field: 'on_unhealthy',
    inherited: true,
    onlyWith: 'healthcheck',
    summary: 'action when the health check fails',
  }),
  disk: defaulted(amount.Disk, DEFAULT_DISK_MIB, {
    field: 'disk_mib',
    inherited: true,
    needs: 'disk',
    summary: 'size of the disk that keeps what the guest writes until `remove`; `"none"` keeps it in memory',
  }),
  user: optional(type.User, {
    field: 'user',
    inherited: true,
    summary: 'user of the host that the VM process runs as; the daemon must be root',
    unset: "the daemon's",
  }),
  open_files: optional(amount.integer(MIN_OPEN_FILES, MAX_OPEN_FILES), {
    field: 'open_files',
    inherited: true,
    otherNames: ['ulimits'],
    summary: 'most open files of the VM process',
    unset: "the daemon's",
  }),
  cpu_shares: optional(amount.integer(...CPU_SHARES, 'a number', ', 1024 being the usual'), {
    field: 'cpu_shares',
    inherited: true,
    summary: 'weight against other services when processors are short',
    unset: 'the default',
  }),
  log: nested(table('[service.log]', LOG_KEYS), {
    field: 'log',
    inherited: true,
    summary: 'log files of the service',
  }),
} satisfies KeyTableOf<Service>;

const GROUP_ENV_KEYS = {
  name: required(type.scalar(type.Name, NAME), { summary: 'name, by which services take the variables' }),
  envs: required(Variables, { summary: 'variables' }),
};

const GROUP_VOLUME_TABLE_KEYS = {
  name: required(type.scalar(type.Name, 'a name, by which services take the volume'), {
    summary: 'name, by which services take the volume',
  }),
  path: required(type.scalar(type.AbsolutePath, 'the absolute path of a file or directory of the host'), {
    summary: 'file or directory of the host',
  }),
};

const GROUP_KEYS = {
  name: required(type.scalar(type.Name, NAME), { field: 'name', summary: 'name of the group' }),
  envs: defaulted(Variables, {}, { summary: 'variables of all its services' }),
  env: nested(tables('[[group.env]]', GROUP_ENV_KEYS), { summary: 'variables for services that ask for them' }),
  volume: nested(tables('[[group.volume]]', GROUP_VOLUME_TABLE_KEYS), {
    summary: 'volumes for services that ask for them',
  }),
  local_only: defaulted(type.scalar(type.Flag, 'true or false'), true, {
    field: 'local_only',
    summary:
      'its guests reach each other and nothing else; with `false` they can go out, and reach what listens on 127.0.0.1 of the host as 10.0.2.2',
  }),
} satisfies KeyTableOf<Group>;

/** Keys that make sense for many services: not those that identify a service, and none that two services cannot share. */
export const DEFAULT_KEYS: KeyTable = Object.fromEntries(
  Object.entries<KeyTable[string]>(SERVICE_KEYS).filter(([, key]) => key.inherited),
);

const LOGS_KEYS = {
  keep_total: optional(amount.size(MIN_LOG_FILE_BYTES), {
    field: 'keep_total_bytes',
    summary: 'size of all log files of the home together',
    change: 'live',
    unset: NO_LIMIT,
  }),
} satisfies KeyTableOf<HomeLogSettings>;

const IMAGE_KEYS = {
  insecure_registries: defaulted(type.Registries, [], {
    field: 'insecure_registries',
    summary: 'registries that are asked by plain HTTP',
    change: 'live',
  }),
  max_image_size: defaulted(amount.size(MIB, 2 ** 50, '16GiB'), DEFAULT_IMAGE_SETTINGS.max_image_size_bytes, {
    field: 'max_image_size_bytes',
    summary: 'most that an image may have, as it is pulled and again unpacked',
    change: 'live',
  }),
} satisfies KeyTableOf<ImageSettings>;

/** Keys of the document; all others are in tables below them. */
export const DOCUMENT_KEYS = {
  $schema: optional(type.scalar(type.Text, 'the address of a JSON schema'), {
    summary: 'JSON Schema of the file, by which an editor completes keys',
    change: 'live',
  }),
  kernel: optional(type.scalar(type.hostPath, 'the path of a kernel image'), {
    field: 'kernel',
    summary: 'kernel of the guests, unless `start --kernel` names another one',
    unset: 'the default',
  }),
  logs: nested(table('[logs]', LOGS_KEYS), { field: 'logs', summary: 'log files of the home', change: 'live' }),
  images: nested(table('[images]', IMAGE_KEYS), { field: 'images', summary: 'images of the home', change: 'live' }),
  defaults: nested(table('[defaults]', DEFAULT_KEYS), {
    summary: 'keys for every service that does not say otherwise; `envs` and `log` are merged key by key',
  }),
  group: nested(tables('[[group]]', GROUP_KEYS), { field: 'groups', summary: 'groups of services' }),
  service: nested(tables('[[service]]', SERVICE_KEYS), {
    field: 'services',
    summary: 'services',
    change: 'services',
  }),
} satisfies KeyTableOf<Config>;

export type DocumentValues = Values<typeof DOCUMENT_KEYS>;
export type ServiceValues = Values<typeof SERVICE_KEYS>;
export type GroupValues = Values<typeof GROUP_KEYS>;
export type ParsedService = ParsedTable<ServiceValues>;
export type ParsedGroup = ParsedTable<GroupValues>;
