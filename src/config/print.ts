/**
 * A config as a document that says the same, with everything filled in. Read again it is the same config; only replicas
 * are services of their own then, and without a group may share no volume.
 */

import { stringify as stringifyToml } from 'smol-toml';
import { stringify as stringifyYaml } from 'yaml';
import { exactDuration, exactSize } from '../lib/units.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import { type Config, formatPort, type LogSettings, type Service } from '../protocol/service.ts';
import type { HealthCheck } from '../protocol/supervision.ts';

/** Languages that a config can be written in. */
export const LANGUAGES = ['toml', 'yaml', 'json'] as const;
export type Language = (typeof LANGUAGES)[number];

/** The text of a config; relative paths have become absolute. Pure. */
export function writeConfig(config: Config, language: Language): string {
  const document = toDocument(config);
  if (language === 'json') return `${JSON.stringify(document, null, 2)}\n`;
  return language === 'yaml' ? stringifyYaml(document, { lineWidth: 0 }) : `${stringifyToml(document)}\n`;
}

function toDocument({ kernel, logs, images, groups, services }: Config): Record<string, unknown> {
  return drop({
    kernel,
    logs: logs.keep_total_bytes === null ? null : { keep_total: size(logs.keep_total_bytes) },
    images: {
      insecure_registries: images.insecure_registries,
      max_image_size: size(images.max_image_size_bytes),
    },
    group: groups,
    service: services.map(toTable),
  });
}

/** Without keys that are null: TOML has no word for nothing. */
function drop(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).filter(([, value]) => value !== null));
}

function toTable(service: Service): Record<string, unknown> {
  const { isolation, restart, healthcheck, on_unhealthy } = service;
  const can = capabilitiesOf(isolation);
  const isRestarted = restart.when !== 'no' || on_unhealthy === 'restart' || restart.max_memory_bytes !== null;
  return drop({
    name: service.name,
    group: service.group,
    isolation,
    rootfs: service.rootfs,
    image: service.image,
    command: service.command,
    args: service.args,
    envs: service.envs,
    workdir: service.workdir,
    cpus: service.cpus,
    ram: `${service.ram_mib}MiB`,
    ports: can.ports ? service.ports.map(formatPort) : null,
    volumes: can.files
      ? service.volumes.map(({ host, guest, read_only }) => `${host}:${guest}${read_only ? ':ro' : ''}`)
      : null,
    secrets: can.files ? service.secrets.map(({ name, path }) => `${name}=${path}`) : null,
    depends_on: service.depends_on,
    stop_timeout: exactDuration(service.stop_timeout_ms),
    stop_signal: service.stop_signal?.replace('SIG', '') ?? null,
    restart: restart.when,
    max_restarts: isRestarted ? restart.max_restarts : null,
    restart_reset: isRestarted ? exactDuration(restart.reset_ms) : null,
    max_memory: size(restart.max_memory_bytes),
    healthcheck: healthcheck && toHealthTable(healthcheck),
    on_unhealthy,
    disk: can.disk ? (size(service.disk_mib === null ? null : service.disk_mib * 2 ** 20) ?? 'none') : null,
    user: service.user,
    open_files: service.open_files,
    cpu_shares: service.cpu_shares,
    log: toLogTable(service.log),
  });
}

function toHealthTable({ probe, interval_ms, timeout_ms, retries, start_period_ms }: HealthCheck) {
  const times = { interval: interval_ms, timeout: timeout_ms, start_period: start_period_ms };
  const durations = Object.entries(times).map(([key, ms]) => [key, exactDuration(ms)]);
  return { ...toProbeKey(probe), ...Object.fromEntries(durations), retries };
}

function toProbeKey(probe: HealthCheck['probe']): Record<string, unknown> {
  switch (probe.type) {
    case 'tcp':
      return { tcp: probe.port };
    case 'http':
      return { http: `:${probe.port}${probe.path}` };
    case 'exec':
      return { exec: probe.command };
    case 'log_line':
      return { log_line: probe.pattern };
  }
}

function toLogTable(log: LogSettings): Record<string, unknown> {
  return drop({
    format: log.format,
    max_size: size(log.max_size_bytes),
    max_age: log.max_age_ms === null ? null : exactDuration(log.max_age_ms),
    keep: log.keep_files,
    keep_total: size(log.keep_total_bytes),
    keep_for: log.keep_for_ms === null ? 'forever' : exactDuration(log.keep_for_ms),
    compress: log.compress,
    compress_delay: exactDuration(log.compress_delay_ms),
    max_line: size(log.max_line_bytes),
    on_full: log.on_full,
  });
}

function size(bytes: number | null): string | null {
  return bytes === null ? null : exactSize(bytes);
}

/** Words in names of variables whose values are secrets more often than not. */
const SECRET_NAME = /PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|PRIVATE|SALT|COOKIE|DSN/i;
/** A user's name and password in an address. */
const CREDENTIALS = /:\/\/[^/\s@]*:[^/\s@]+@/;

/** Stands for a value that is not shown. */
export const MASK = '********';

/**
 * The config without values of variables that look like secrets: by their name, by a password in an address, or because an
 * `env_file` sets them. Secrets proper are files, of which a config knows only the path. Pure.
 *
 * @param fileNames names of the variables that files set
 */
export function maskVariables(config: Config, fileNames: ReadonlySet<string>): Config {
  const isSecret = (name: string, value: string) =>
    fileNames.has(name) || SECRET_NAME.test(name) || CREDENTIALS.test(value);
  const services = config.services.map((service) => {
    const envs = Object.entries(service.envs).map(([name, value]) => [name, isSecret(name, value) ? MASK : value]);
    return { ...service, envs: Object.fromEntries(envs) as Record<string, string> };
  });
  return { ...config, services };
}
