/** The keys of a service about its restarts, health and limits; see `schema.ts` for how they are written down. */
import * as v from 'valibot';
import { StopSignalSchema } from '../protocol/service.ts';
import {
  ConditionSchema,
  DEFAULT_RESTART_SETTINGS,
  type Dependency,
  type HealthCheck,
  OnUnhealthySchema,
  type Probe,
  type RestartSettings,
  RestartWhenSchema,
} from '../protocol/supervision.ts';
import { formatDuration, formatSize } from '../units.ts';
import * as field from './fields.ts';
import type { HostLimits } from './host.ts';
import type { Values } from './schema.ts';
import { isTable } from './value.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** A file system and its journal need room of their own. */
const MIN_DISK_BYTES = 16 * MIB;
const MAX_DISK_BYTES = 16 * 2 ** 40;
const HOUR_MS = 3600e3;
const DAY_MS = 24 * HOUR_MS;
/** Fewer, and a process cannot even load its libraries. */
const MIN_OPEN_FILES = 64;
/** NR_OPEN of Linux, the most that RLIMIT_NOFILE may be by default: see proc_sys_fs(5). */
const MAX_OPEN_FILES = 1_048_576;
/** Limits of cpu.shares in cgroup v1; v2's cpu.weight is scaled from it. */
const MIN_CPU_SHARES = 2;
const MAX_CPU_SHARES = 262_144;

const DURATION = 'seconds or a duration such as "10s"';
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

const User = v.pipe(
  v.union([v.string(), v.number()], field.mustBe('a name or a number')),
  v.transform(String),
  v.regex(/^(?:[a-z_][a-z0-9_-]{0,31}|\d{1,10})$/, 'is not the name or number of a user'),
);

function integer(min: number, max: number) {
  return v.pipe(
    v.number(field.mustBe('an integer')),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );
}

const DependencyEntry = v.union(
  [
    v.pipe(
      field.Text,
      v.transform((service): Dependency => ({ service, condition: 'started' })),
    ),
    v.pipe(
      v.custom<Record<string, unknown>>(isTable, field.mustBe('a name or a table')),
      v.strictObject({
        service: field.Text,
        condition: v.optional(v.picklist(ConditionSchema.options, 'has an unknown condition'), 'started'),
      }),
    ),
  ],
  (issue) => {
    const inner = issue.issues?.find(({ type }) => type !== 'string' && type !== 'custom');
    if (!inner) return field.mustBe('a string or a table')(issue);
    const key = v.getDotPath(inner);
    return key === null ? inner.message : `${key}: ${inner.message}`;
  },
);

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
    stop_signal: v.pipe(v.optional(StopSignal, 'TERM'), v.description(`one of ${SIGNALS}`)),
    restart: v.pipe(
      v.optional(v.picklist(RestartWhenSchema.options, 'is not a restart policy'), DEFAULT_RESTART_SETTINGS.when),
      v.description(`one of ${RestartWhenSchema.options.map((option) => `"${option}"`).join(', ')}`),
    ),
    max_restarts: v.pipe(v.optional(integer(1, 1_000_000)), v.description('a number of restarts in a row')),
    restart_reset: v.pipe(
      v.optional(field.durationMs(1000, DAY_MS), DEFAULT_RESTART_SETTINGS.reset_ms / 1000),
      v.description(DURATION),
    ),
    max_memory: v.pipe(
      v.optional(field.sizeBytes(MIB, host.ramMib * MIB)),
      v.description(`a size such as "512MiB", at most ${formatSize(host.ramMib * MIB)}`),
    ),
    healthcheck: v.pipe(v.optional(field.SubTable), v.description('a table such as { tcp = 80, interval = "10s" }')),
    on_unhealthy: v.pipe(
      v.optional(v.picklist(OnUnhealthySchema.options, 'is not known'), 'none'),
      v.description('"none" or "restart"'),
    ),
    disk: v.pipe(v.optional(Disk), v.description('a size such as "1GiB", or "none"')),
    user: v.pipe(v.optional(User), v.description('the name or number of a user of this host')),
    open_files: v.pipe(
      v.optional(integer(MIN_OPEN_FILES, MAX_OPEN_FILES)),
      v.description(`a number from ${MIN_OPEN_FILES} to ${MAX_OPEN_FILES}`),
    ),
    cpu_shares: v.pipe(
      v.optional(integer(MIN_CPU_SHARES, MAX_CPU_SHARES)),
      v.description(`a number from ${MIN_CPU_SHARES} to ${MAX_CPU_SHARES}, 1024 being the usual`),
    ),
  };
}

export type SupervisionValues = Values<ReturnType<typeof supervisionEntries>>;

const DEFAULT_DISK_MIB = GIB / MIB;

/** Size of a service's disk: a plain process has none, a VM has one unless told. */
export function toDiskMib(disk: number | null | undefined, isolation: 'vm' | 'none'): number | null {
  if (isolation === 'none') return null;
  return disk === undefined ? DEFAULT_DISK_MIB : disk;
}

/** The restart settings that the valid keys are. */
export function toRestartSettings(values: SupervisionValues): RestartSettings {
  return {
    when: values.restart,
    max_restarts: values.max_restarts ?? null,
    reset_ms: values.restart_reset,
    max_memory_bytes: values.max_memory ?? null,
  };
}

const Port = integer(1, 65_535);

/** `http://localhost:8080/health`, or `:8080/health`; the host is always the guest itself. */
const HTTP_TARGET = /^(?:http:\/\/(?:localhost|127\.0\.0\.1))?(?::(\d{1,5}))?(\/[!-~]*)?$/;

const HttpTarget = v.pipe(
  field.Text,
  v.check((text) => parseHttpTarget(text) !== null, 'is not the address of a page in the guest'),
  v.transform((text) => parseHttpTarget(text)!),
);

function parseHttpTarget(text: string): { port: number; path: string } | null {
  const match = text === '' ? null : HTTP_TARGET.exec(text);
  if (!match) return null;
  const port = Number(match[1] ?? 80);
  return port >= 1 && port <= 65_535 ? { port, path: match[2] ?? '/' } : null;
}

const ExecCommand = v.union(
  [
    v.pipe(
      field.Command,
      v.transform((script) => ['/bin/sh', '-c', script]),
    ),
    v.pipe(v.array(field.Argument), v.nonEmpty('must not be empty')),
  ],
  (issue) => issue.issues?.find(({ type }) => type !== 'string' && type !== 'array')?.message ?? 'is not a command',
);

const LinePattern = v.pipe(
  field.Text,
  v.nonEmpty('must not be empty'),
  v.check(isPattern, 'is not a regular expression'),
);

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

/** Names of the keys that say how it is checked; one of them must be there. */
export const PROBE_KEYS = ['tcp', 'http', 'exec', 'log_line'] as const;

/** Keys of `healthcheck`. */
export function healthCheckEntries() {
  return {
    tcp: v.pipe(v.optional(Port), v.description('a port in the guest')),
    http: v.pipe(v.optional(HttpTarget), v.description('an address such as "http://localhost:80/health"')),
    exec: v.pipe(
      v.optional(ExecCommand),
      v.description('an array such as ["/bin/check", "-q"], or a line for /bin/sh'),
    ),
    log_line: v.pipe(v.optional(LinePattern), v.description('a regular expression')),
    interval: v.pipe(v.optional(field.durationMs(100, DAY_MS), 10), v.description(DURATION)),
    timeout: v.pipe(v.optional(field.durationMs(100, HOUR_MS), 5), v.description(DURATION)),
    retries: v.pipe(v.optional(integer(1, 1000), 3), v.description('a number of failures in a row')),
    start_period: v.pipe(v.optional(field.durationMs(0, DAY_MS), 10), v.description(DURATION)),
  };
}

export type HealthCheckValues = Values<ReturnType<typeof healthCheckEntries>>;

/** The check that the valid keys of `healthcheck` are. */
export function toHealthCheck(values: HealthCheckValues): HealthCheck {
  return {
    probe: toProbe(values),
    interval_ms: values.interval,
    timeout_ms: values.timeout,
    retries: values.retries,
    start_period_ms: values.start_period,
  };
}

function toProbe({ tcp, http, exec, log_line }: HealthCheckValues): Probe {
  if (tcp !== undefined) return { type: 'tcp', port: tcp };
  if (http !== undefined) return { type: 'http', ...http };
  if (exec !== undefined) return { type: 'exec', command: exec };
  return { type: 'log_line', pattern: log_line ?? '' };
}
