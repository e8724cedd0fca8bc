/** A config file, read, checked and filled in. Runs in the CLI's process or a library user's, never in the daemon. */
import { dirname, resolve } from 'node:path';
import { type Config, DEFAULT_IMAGE_SETTINGS, type Dependency, type Service } from '../protocol/service.ts';
import { parseDocument } from './document.ts';
import type { Fault } from './fault.ts';
import { checkFiles } from './files.ts';
import { toHealthCheck } from './health-schema.ts';
import { hostLimits } from './host.ts';
import { locate } from './locate.ts';
import { type HomeLogValues, toHomeLogSettings, toLogSettings } from './log-schema.ts';
import { type Outline, readOutline } from './outline.ts';
import { configInvalid } from './problem.ts';
import { readConfigText } from './read.ts';
import type { GroupValues, ServiceValues, Surroundings } from './schema.ts';
import { toDiskMib, toRestartSettings } from './supervision-schema.ts';
import { crossCheck } from './validate.ts';

/**
 * Reads a config file. Throws `ConfigInvalid`, whose `details` are all {@link Problem}s in order of position.
 *
 * @param path of a `.toml` file; relative paths inside it are relative to its folder
 */
export async function loadConfig(path: string): Promise<Config> {
  const text = await readConfigText(path);
  const { outline, faults } = check(text, path, hostLimits());
  return finish(text, path, outline, [...faults, ...(await checkFiles(outline))]);
}

/**
 * The config that `text` is. Throws as {@link loadConfig} does; the disk is not looked at, so a `rootfs` or `kernel`
 * that does not exist passes.
 *
 * @param path of the file, for problems and as the origin of relative paths; need not exist
 * @param host upper limits of cpus and ram
 */
export function parseConfig(text: string, path: string, host = hostLimits()): Config {
  // The same mark that decoding a file drops; left in, it would shift the columns of the first line.
  const bare = text.replace(/^\uFEFF/, '');
  const { outline, faults } = check(bare, path, host);
  return finish(bare, path, outline, faults);
}

function check(text: string, path: string, host: Surroundings['host']): { outline: Outline; faults: Fault[] } {
  const surroundings = { folder: dirname(resolve(path)), host };
  const { outline, faults } = readOutline(parseDocument(path, text), surroundings);
  return { outline, faults: [...faults, ...crossCheck(outline)] };
}

function finish(text: string, path: string, outline: Outline, faults: readonly Fault[]): Config {
  if (faults.length > 0) throw configInvalid(path, locate(path, text, faults));
  // Without a fault the values of every table are complete, see Declaration.values.
  const services = outline.services.map(({ values }) => values as ServiceValues);
  const groups = outline.groups.map(({ values }) => values as GroupValues);
  const groupEnvs = new Map(groups.map((group) => [group.name, group.envs]));
  return {
    services: services.map((service) => toService(service, groupEnvs.get(service.group ?? '') ?? {})),
    groups: groups.map(({ name, local_only }) => ({ name, local_only })),
    kernel: outline.kernel ?? null,
    logs: toHomeLogSettings(outline.logs as HomeLogValues),
    images: DEFAULT_IMAGE_SETTINGS,
  };
}

function toService(values: ServiceValues, groupEnvs: GroupValues['envs']): Service {
  const { name, group, isolation, rootfs, command, args, workdir, cpus, port, ports } = values;
  return {
    name,
    group,
    isolation,
    rootfs: rootfs ?? null,
    base: null,
    command,
    args,
    envs: { ...groupEnvs, ...values.envs },
    workdir,
    cpus,
    ram_mib: values.ram,
    ports: port === undefined ? ports : [port, ...ports],
    volumes: [],
    secrets: [],
    depends_on: dropRepeated(values.depends_on),
    stop_timeout_ms: values.stop_timeout,
    stop_signal: values.stop_signal ?? null,
    restart: toRestartSettings(values),
    healthcheck: values.healthcheck ? toHealthCheck(values.healthcheck) : null,
    on_unhealthy: values.on_unhealthy,
    disk_mib: toDiskMib(values.disk, isolation),
    user: values.user ?? null,
    open_files: values.open_files ?? null,
    cpu_shares: values.cpu_shares ?? null,
    log: toLogSettings(values.log),
  };
}

/** A service may be named for more than one condition, but once for each. */
function dropRepeated(dependencies: readonly Dependency[]): Dependency[] {
  const byText = new Map(
    dependencies.map((dependency) => [`${dependency.condition} ${dependency.service}`, dependency]),
  );
  return [...byText.values()];
}
