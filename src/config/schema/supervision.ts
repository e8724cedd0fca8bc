/** The keys of a service about its restarts, health and limits; see `schema.ts` for how they are written down. */

import * as v from 'valibot';
import { formatDuration, formatSize } from '../../lib/units.ts';
import { capabilitiesOf, type Isolation } from '../../protocol/isolation.ts';
import { StopSignalSchema } from '../../protocol/service.ts';
import {
  ConditionSchema,
  DEFAULT_RESTART_SETTINGS,
  type Dependency,
  OnUnhealthySchema,
  type RestartSettings,
  RestartWhenSchema,
} from '../../protocol/supervision.ts';
import { isTable, type Table } from '../languages/syntax.ts';
import type { Values } from './config.ts';
import * as field from './fields.ts';
import type { HostLimits } from './host-limits.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** A file system and its journal need room of their own. */
const MIN_DISK_BYTES = 16 * MIB;
const MAX_DISK_BYTES = 16 * 2 ** 40;
const MIN_RESET_MS = 1000;
const MAX_RESET_MS = 86_400e3;
const MIN_MEMORY_BYTES = MIB;
const MAX_RESTARTS = 1_000_000;
/** Fewer, and a process cannot even load its libraries. */
const MIN_OPEN_FILES = 64;
/** NR_OPEN of Linux, the most that RLIMIT_NOFILE may be by default: see proc_sys_fs(5). */
const MAX_OPEN_FILES = 1_048_576;
/** Limits of cpu.shares in cgroup v1; v2's cpu.weight is scaled from it. */
const MIN_CPU_SHARES = 2;
const MAX_CPU_SHARES = 262_144;

const SIGNALS = StopSignalSchema.options.map((signal) => `"${signal.slice(3)}"`).join(', ');

/** `"TERM"` or `"SIGTERM"`, in any case. */
const StopSignal = v.pipe(
  field.Text,
  v.transform((text) => text.toUpperCase().replace(/^(?!SIG)/, 'SIG')),
  v.picklist(StopSignalSchema.options, 'is not a signal that ends a command'),
);

/** A disk's size in MiB; null for `"none"`. */
const Disk = v.union(
  [
    v.pipe(
      v.literal('none'),
      v.transform(() => null),
    ),
    v.pipe(
      field.sizeBytes(MIN_DISK_BYTES, MAX_DISK_BYTES),
      v.transform((bytes) => Math.floor(bytes / MIB)),
    ),
  ],
  (issue) => issue.issues?.at(-1)?.message ?? 'is not a size',
);

/** The last one, (uid_t) -1, means "leave it as it is" to setuid(2) and its like. */
const MAX_USER_ID = 2 ** 32 - 2;

const User = v.pipe(
  v.union([v.string(), v.number()], field.mustBe('a name or a number')),
  v.check(isUser, 'is not the name or number of a user'),
  v.transform(String),
);

function isUser(user: string | number): boolean {
  const text = String(user);
  return /^\d+$/.test(text) ? Number(text) <= MAX_USER_ID : /^[A-Za-z_][\w.-]{0,31}$/.test(text);
}

/** A service's name, or a table that is read by itself, see {@link dependencyEntries}. */
const DependencyEntry = v.custom<string | Table>(
  (input) => typeof input === 'string' || isTable(input),
  field.mustBe('a string or a table'),
);

/** Keys of a table in `depends_on`. */
export function dependencyEntries() {
  return {
    service: v.pipe(field.Text, v.description('the name of a [[service]]')),
    condition: v.pipe(
      v.optional(v.picklist(ConditionSchema.options, 'is not a condition'), 'started'),
      v.description(`one of ${ConditionSchema.options.map((option) => `"${option}"`).join(', ')}`),
    ),
  };
}

/** What an element of `depends_on` that is a mere name says. */
export function toDependency(service: string): Dependency {
  return { service, condition: 'started' };
}

/** Keys of `[[service]]` that this file has. */
export function supervisionEntries(host: HostLimits) {
  return {
    depends_on: v.pipe(
      v.optional(v.array(DependencyEntry, field.mustBe('an array')), []),
      v.description('an array of names, or of tables such as { service = "db", condition = "healthy" }'),
    ),
    stop_timeout: v.pipe(
      v.optional(field.StopTimeout, 10),
      v.description(`seconds or a duration such as "10s", at most ${formatDuration(field.MAX_STOP_TIMEOUT_MS)}`),
    ),
    stop_signal: v.pipe(v.optional(StopSignal), v.description(`one of ${SIGNALS}`)),
    restart: v.pipe(
      v.optional(v.picklist(RestartWhenSchema.options, 'is not a restart policy'), DEFAULT_RESTART_SETTINGS.when),
      v.description(`one of ${RestartWhenSchema.options.map((option) => `"${option}"`).join(', ')}`),
    ),
    max_restarts: v.pipe(
      v.optional(field.integer(1, MAX_RESTARTS)),
      v.description(`a number of restarts in a row, from 1 to ${MAX_RESTARTS}`),
    ),
    restart_reset: v.pipe(
      v.optional(field.durationMs(MIN_RESET_MS, MAX_RESET_MS), DEFAULT_RESTART_SETTINGS.reset_ms / 1000),
      v.description(
        `seconds or a duration such as "1m", from ${formatDuration(MIN_RESET_MS)} to ${formatDuration(MAX_RESET_MS)}`,
      ),
    ),
    max_memory: v.pipe(
      v.optional(field.sizeBytes(MIN_MEMORY_BYTES, host.ramMib * MIB)),
      v.description(
        `a size such as "512MiB", from ${formatSize(MIN_MEMORY_BYTES)} to ${formatSize(host.ramMib * MIB)}`,
      ),
    ),
    healthcheck: v.pipe(v.optional(field.SubTable), v.description('a table such as { tcp = 80, interval = "10s" }')),
    on_unhealthy: v.pipe(
      v.optional(v.picklist(OnUnhealthySchema.options, 'is not known'), 'none'),
      v.description('"none" or "restart"'),
    ),
    disk: v.pipe(
      v.optional(Disk),
      v.description(
        `a size such as "1GiB", from ${formatSize(MIN_DISK_BYTES)} to ${formatSize(MAX_DISK_BYTES)}, or "none"`,
      ),
    ),
    user: v.pipe(v.optional(User), v.description('the name or number of a user of this host')),
    open_files: v.pipe(
      v.optional(field.integer(MIN_OPEN_FILES, MAX_OPEN_FILES)),
      v.description(`a number from ${MIN_OPEN_FILES} to ${MAX_OPEN_FILES}`),
    ),
    cpu_shares: v.pipe(
      v.optional(field.integer(MIN_CPU_SHARES, MAX_CPU_SHARES)),
      v.description(`a number from ${MIN_CPU_SHARES} to ${MAX_CPU_SHARES}, 1024 being the usual`),
    ),
  };
}

type RestartValues = Pick<
  Values<ReturnType<typeof supervisionEntries>>,
  'restart' | 'max_restarts' | 'restart_reset' | 'max_memory'
>;

const DEFAULT_DISK_MIB = GIB / MIB;

/** Size of a service's disk: a plain process has none, a VM has one unless told. */
export function toDiskMib(disk: number | null | undefined, isolation: Isolation): number | null {
  if (!capabilitiesOf(isolation).disk) return null;
  return disk === undefined ? DEFAULT_DISK_MIB : disk;
}

/** The restart settings that the valid keys are. */
export function toRestartSettings(values: RestartValues): RestartSettings {
  return {
    when: values.restart,
    max_restarts: values.max_restarts ?? null,
    reset_ms: values.restart_reset,
    max_memory_bytes: values.max_memory ?? null,
  };
}
