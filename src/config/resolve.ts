/** A service as the daemon takes it, from the keys of a valid config. */
import type { Dependency, Service, Volume } from '../protocol/service.ts';
import type { GroupValues, ServiceValues } from './schema/config.ts';
import { toHealthCheck } from './schema/healthcheck.ts';
import { toLogSettings } from './schema/log.ts';
import { portOf } from './schema/ports.ts';
import { replicaNames } from './schema/replicas.ts';
import { toDiskMib, toRestartSettings } from './schema/supervision.ts';
import { toVolume } from './schema/volumes.ts';

/** Variables of the files that `env_file` names, by absolute path. */
export type EnvFiles = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** What the services of a config have in common. */
export interface Common {
  readonly groups: ReadonlyMap<string, GroupValues>;
  readonly envFiles: EnvFiles;
  /** Variables of `[defaults]`. */
  readonly envs: Readonly<Record<string, string>>;
  /** What each name in `depends_on` stands for. */
  readonly replicas: ReadonlyMap<string, readonly string[]>;
}

/** The services that complete and checked values are, one for each replica. Pure. */
export function toServices(values: ServiceValues, common: Common): Service[] {
  return replicaNames(values).map((name, replica) => toService(name, replica, values, common));
}

function toService(name: string, replica: number, values: ServiceValues, common: Common): Service {
  const group = common.groups.get(values.group ?? '') ?? null;
  const { isolation, rootfs, image, command, args, workdir, cpus, port, ports } = values;
  return {
    name,
    replica_of: values.replicas === undefined ? null : values.name,
    group: values.group,
    isolation,
    rootfs: rootfs ?? null,
    image: image ?? null,
    command: command ?? null,
    args,
    envs: mergeEnvs(values, group, common),
    workdir: workdir ?? (image === undefined ? '/' : null),
    cpus,
    ram_mib: values.ram,
    ports: (port === undefined ? ports : [port, ...ports]).map((range) => portOf(range, replica)),
    volumes: mergeVolumes(values, group),
    secrets: values.secrets,
    depends_on: values.depends_on.flatMap(({ service, condition }) =>
      (common.replicas.get(service) ?? []).map((one): Dependency => ({ service: one, condition })),
    ),
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

/** The nearer to the service, the later: defaults, group, tables of the group that it names, files, its own. */
function mergeEnvs(values: ServiceValues, group: GroupValues | null, common: Common): Record<string, string> {
  const named = values.group_envs.map((name) => group?.env.find((env) => env.values.name === name)?.values.envs);
  const files = values.env_file.map((file) => common.envFiles.get(file));
  return Object.assign({}, common.envs, group?.envs, ...named, ...files, values.envs);
}

/** Its own win over those of the group at the same place. */
function mergeVolumes(values: ServiceValues, group: GroupValues | null): Volume[] {
  const own = new Set(values.volumes.map(({ guest }) => guest));
  return [...groupVolumes(values, group).filter(({ guest }) => !own.has(guest)), ...values.volumes];
}

/** What a service takes of its group's volumes, faulty ones left out. */
export function groupVolumes(
  { group_volumes }: Pick<ServiceValues, 'group_volumes'>,
  group: Partial<GroupValues> | null,
): Volume[] {
  return group_volumes.flatMap(({ name, mount }) => {
    const path = group?.volume?.find(({ values }) => values.name === name)?.values.path;
    const volume = path === undefined ? null : toVolume(path, mount);
    return volume === null || 'problem' in volume ? [] : [volume];
  });
}
