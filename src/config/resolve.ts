/** Converts a valid config into the service definitions that the daemon takes. */

import { didYouMean } from '../lib/closest.ts';
import { MonocoreError } from '../lib/errors.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import type { Config, Service, Volume } from '../protocol/service.ts';
import type { Dependency } from '../protocol/supervision.ts';
import { DOCUMENT_KEYS, type GroupValues, SERVICE_KEYS, type ServiceValues } from './keys.ts';
import { projectOf } from './project.ts';
import type { ParsedConfig } from './schema/parsed-config.ts';
import { portOf, replicaNames } from './schema/ports.ts';
import { type KeyTable, type ParsedTable, storedKeys } from './schema/types.ts';
import { toVolume } from './schema/volumes.ts';

/** Variables from the `env_file`s, by the absolute path of the file. */
export type EnvFiles = ReadonlyMap<string, Readonly<Record<string, string>>>;

interface Common {
  readonly groups: ReadonlyMap<string, GroupValues>;
  readonly envFiles: EnvFiles;
  /** Variables of `[defaults]`, which apply to every service. */
  readonly envs: Readonly<Record<string, string>> | undefined;
  /** Services that each name in `depends_on` refers to. */
  readonly replicas: ReadonlyMap<string, readonly string[]>;
}

/**
 * Builds the config from a document without problems. Pure.
 *
 * @param folder of the config, absolute
 * @throws MonocoreError `Usage` for a profile that no service has
 */
export function toConfig(parsed: ParsedConfig, folder: string, envFiles: EnvFiles, choice: Choice): Config {
  const services = parsed.services.map(({ values }) => values as ServiceValues);
  const common: Common = {
    groups: new Map(parsed.groups.map(({ values }) => [values.name!, values as GroupValues])),
    envFiles,
    envs: parsed.document.values.defaults?.values.envs as Common['envs'],
    replicas: new Map(services.map((service) => [service.name, replicaNames(service)])),
  };
  const chosen = new Set(choose(services, choice));
  return {
    ...(toStored(DOCUMENT_KEYS, parsed.document.values) as Config),
    project: projectOf(parsed.document.values.name, folder),
    services: [...chosen].flatMap((service) =>
      replicaNames(service).map((name, replica) => toService(name, replica, service, common)),
    ),
    unselected: services.filter((service) => !chosen.has(service)).flatMap(replicaNames),
  };
}

type ParsedValues = ParsedTable<Record<string, unknown>>;

/** Protocol fields that the values of a table fill; null for a key that is not set. */
function toStored(keys: KeyTable, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const stored: Record<string, unknown> = {};
  for (const [name, { type }, field] of storedKeys(keys)) {
    let value = values[name] ?? null;
    if (type.kind === 'table' && value !== null) value = toStored(type.keys, (value as ParsedValues).values);
    if (type.kind === 'tables') value = (value as ParsedValues[]).map((one) => toStored(type.keys, one.values));
    const [outer = '', inner] = field.split('.');
    if (inner === undefined) stored[outer] ??= value;
    else stored[outer] = { ...(stored[outer] as object | undefined), [inner]: value };
  }
  return stored;
}

function toService(name: string, replica: number, values: ServiceValues, common: Common): Service {
  const group = common.groups.get(values.group ?? '') ?? null;
  const { isolation, image, workdir, port, ports, disk, args } = values;
  const [program = null, ...words] = values.command ?? [];
  return {
    ...(toStored(SERVICE_KEYS, values) as Service),
    name,
    replica_of: values.replicas === undefined ? null : values.name,
    envs: mergeEnvs(values, group, common),
    command: program,
    args: [...words, ...args],
    workdir: workdir ?? (image === undefined ? '/' : null),
    ports: (port === undefined ? ports : [port, ...ports]).map((range) => portOf(range, replica)),
    volumes: mergeVolumes(values, group),
    depends_on: values.depends_on.flatMap(({ service, condition }) =>
      (common.replicas.get(service) ?? []).map((one): Dependency => ({ service: one, condition })),
    ),
    disk_mib: capabilitiesOf(isolation).disk ? disk : null,
  };
}

/**
 * Variables merged in order of precedence: defaults, group, the group's tables that the service names, files, its own.
 */
function mergeEnvs(values: ServiceValues, group: GroupValues | null, common: Common): Record<string, string> {
  const named = values.group_envs.map((name) => group?.env.find((env) => env.values.name === name)?.values.envs);
  const files = values.env_file.map((file) => common.envFiles.get(file));
  return Object.assign({}, common.envs, group?.envs, ...named, ...files, values.envs);
}

/** Volumes of a service; its own override those of the group at the same path. */
function mergeVolumes(values: ServiceValues, group: GroupValues | null): Volume[] {
  const own = new Set(values.volumes.map(({ guest }) => guest));
  const taken = values.group_volumes.flatMap(({ name, mount }) => {
    const path = group?.volume.find((volume) => volume.values.name === name)?.values.path;
    const volume = path === undefined ? null : toVolume(path, mount);
    return volume === null || 'problem' in volume || own.has(volume.guest) ? [] : [volume];
  });
  return [...taken, ...values.volumes];
}

export interface Choice {
  /** Selects services that have one of these profiles, in addition to those without any. */
  readonly profiles?: readonly string[];
  /** Selects services by name, whatever their profiles. */
  readonly names?: readonly string[];
}

/** Selects services and everything that they depend on, in the same order. */
function choose(services: readonly ServiceValues[], { profiles = [], names = [] }: Choice): ServiceValues[] {
  const known = new Set(services.flatMap((service) => service.profiles));
  for (const profile of profiles) {
    if (known.has(profile)) continue;
    const meant = didYouMean(profile, known);
    throw new MonocoreError('Usage', `no service of the config has the profile ${JSON.stringify(profile)}${meant}`);
  }
  const byName = new Map(services.map((service) => [service.name, service]));
  const wanted = new Set<ServiceValues>();
  const pending = services.filter(
    (service) =>
      service.profiles.length === 0 ||
      service.profiles.some((profile) => profiles.includes(profile)) ||
      [service.name, ...replicaNames(service)].some((name) => names.includes(name)),
  );
  for (let service = pending.pop(); service !== undefined; service = pending.pop()) {
    if (wanted.has(service)) continue;
    wanted.add(service);
    pending.push(...service.depends_on.flatMap((dependency) => byName.get(dependency.service) ?? []));
  }
  return services.filter((service) => wanted.has(service));
}
