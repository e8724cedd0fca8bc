/** What tells one definition of a service from another, for people: by the keys of the config. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { exactDuration, exactSize } from '../lib/units.ts';
import { memberAddress } from '../protocol/network.ts';
import { formatPort, type HealthCheck, type LogSettings, type Service } from '../protocol/service.ts';
import type { RestartSettings } from '../protocol/supervision.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';

/** How two values of a key differ; called only where they do. */
type Describe<T> = (from: T, to: T) => string[];
/** One for each key, so that none can be forgotten. */
type DescribeAll<T> = { readonly [K in keyof T]-?: Describe<T[K]> };

/** Names that are listed; of more only their number is told. */
const MAX_NAMES = 5;

const HEALTH_CHECK = within<HealthCheck>({
  // What it asks for may have a password in it.
  probe: (from, to) =>
    from.type === to.type
      ? [`healthcheck.${to.type} changed`]
      : [`healthcheck changed from ${from.type} to ${to.type}`],
  interval_ms: changed('healthcheck.interval', { show: exactDuration }),
  timeout_ms: changed('healthcheck.timeout', { show: exactDuration }),
  retries: changed('healthcheck.retries'),
  start_period_ms: changed('healthcheck.start_period', { show: exactDuration }),
});

const SERVICE: DescribeAll<Service> = {
  name: changed('name'),
  replica_of: (from, to) => [to === null ? `no replica of ${from} any more` : `now a replica of ${to}`],
  group: changed('group'),
  isolation: changed('isolation'),
  rootfs: changed('rootfs'),
  image: changed('image'),
  command: changed('command', { none: "the image's" }),
  // They may well have a password in them.
  args: unseen('args'),
  envs: (from, to) => named('variables', from, to),
  workdir: changed('workdir', { none: "the image's" }),
  cpus: changed('cpus'),
  ram_mib: changed('ram', { show: mebibytes }),
  ports: (from, to) => [
    `ports changed from ${from.map(formatPort).join(', ') || 'none'} to ${to.map(formatPort).join(', ') || 'none'}`,
  ],
  volumes: (from, to) => named('volumes', byKey(from, 'guest'), byKey(to, 'guest')),
  secrets: (from, to) => named('secrets', byKey(from, 'name'), byKey(to, 'name')),
  depends_on: (from, to) => named('dependencies', byKey(from, 'service'), byKey(to, 'service')),
  stop_timeout_ms: changed('stop_timeout', { show: exactDuration }),
  stop_signal: changed('stop_signal', { none: 'the default' }),
  restart: within<RestartSettings>({
    when: changed('restart'),
    max_restarts: changed('max_restarts', { none: 'no limit' }),
    reset_ms: changed('restart_reset', { show: exactDuration }),
    max_memory_bytes: changed('max_memory', { show: exactSize, none: 'no limit' }),
  }),
  healthcheck: (from, to) => {
    if (from === null || to === null) return [`healthcheck ${from === null ? 'added' : 'removed'}`];
    return HEALTH_CHECK(from, to);
  },
  on_unhealthy: changed('on_unhealthy'),
  disk_mib: changed('disk', { show: mebibytes }),
  user: changed('user', { none: "the daemon's" }),
  open_files: changed('open_files', { none: "the daemon's" }),
  cpu_shares: changed('cpu_shares', { none: 'the default' }),
  log: within<LogSettings>({
    format: changed('log.format'),
    max_size_bytes: changed('log.max_size', { show: exactSize }),
    max_age_ms: changed('log.max_age', { show: exactDuration, none: 'no limit' }),
    keep_files: changed('log.keep', { none: 'no limit' }),
    keep_total_bytes: changed('log.keep_total', { show: exactSize, none: 'no limit' }),
    keep_for_ms: changed('log.keep_for', { show: exactDuration, none: 'forever' }),
    compress: changed('log.compress'),
    compress_delay_ms: changed('log.compress_delay', { show: exactDuration }),
    max_line_bytes: changed('log.max_line', { show: exactSize }),
    on_full: changed('log.on_full'),
  }),
};

const describeService = within(SERVICE);

/**
 * Everything that differs, in a phrase each: `ram changed from 128MiB to 256MiB`, `variables changed: A, B`. Values of
 * variables, arguments and health checks are not told. Empty only for definitions that are the same.
 */
export function describeDifferences(from: ServiceDefinition, to: ServiceDefinition): string[] {
  if (isDeepStrictEqual(from, to)) return [];
  const phrases = describeService(from.service, to.service);
  const { group } = to.service;
  // What follows from another group is no news.
  if (from.service.group === group && group !== null) {
    if (from.group?.local_only !== to.group?.local_only) {
      phrases.push(...changed(`local_only of group ${group}`)(from.group?.local_only, to.group?.local_only));
    }
    if (from.groupIp !== to.groupIp) phrases.push(...changed(`address of group ${group}`)(from.groupIp, to.groupIp));
  }
  if (from.kernel !== to.kernel) phrases.push(...changed('kernel', { none: 'the default' })(from.kernel, to.kernel));
  if (phrases.length > 0) return phrases;
  // It follows from other keys, where any differs.
  const show = { show: memberAddress };
  return changed('address in the network of its group', show)(from.groupIndex ?? null, to.groupIndex ?? null);
}

/** @param none what stands for null */
function changed<T>(
  label: string,
  { show = String, none = 'none' }: { show?: (value: T) => string; none?: string } = {},
): Describe<T | null | undefined> {
  const text = (value: T | null | undefined) => (value === null || value === undefined ? none : show(value));
  return (from, to) => [`${label} changed from ${text(from)} to ${text(to)}`];
}

/** A value that is not to be told. */
function unseen(label: string): Describe<unknown> {
  return () => [`${label} changed`];
}

/** The differences of the fields of a value. */
function within<T extends object>(fields: DescribeAll<T>): Describe<T> {
  return (from, to) =>
    (Object.keys(fields) as (keyof T)[]).flatMap((key) =>
      isDeepStrictEqual(from[key], to[key]) ? [] : fields[key](from[key], to[key]),
    );
}

/** Which entries differ, by their names. */
function named(
  label: string,
  from: Readonly<Record<string, unknown>>,
  to: Readonly<Record<string, unknown>>,
): string[] {
  const both = Object.keys(to).filter((name) => Object.hasOwn(from, name));
  const phrases = [
    list(
      `${label} changed`,
      both.filter((name) => !isDeepStrictEqual(from[name], to[name])),
    ),
    list(
      `${label} added`,
      Object.keys(to).filter((name) => !Object.hasOwn(from, name)),
    ),
    list(
      `${label} removed`,
      Object.keys(from).filter((name) => !Object.hasOwn(to, name)),
    ),
  ].flat();
  return phrases.length > 0 ? phrases : [`order of ${label} changed`];
}

function list(label: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const rest = names.length - MAX_NAMES;
  return [`${label}: ${names.slice(0, MAX_NAMES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`];
}

/** A repeated name counts with its place: a config may declare two dependencies on one service. */
function byKey<K extends string, T extends Readonly<Record<K, string>>>(
  values: readonly T[],
  key: K,
): Record<string, T> {
  const seen = new Map<string, number>();
  return Object.fromEntries(
    values.map((value) => {
      const count = (seen.get(value[key]) ?? 0) + 1;
      seen.set(value[key], count);
      return [count === 1 ? value[key] : `${value[key]} (${count})`, value];
    }),
  );
}

function mebibytes(count: number): string {
  return exactSize(count * 2 ** 20);
}
