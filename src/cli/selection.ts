/**
 * Config and selected services of a `start`. Separate from options.ts, because most commands do not need the config
 * modules.
 */
import { relative } from 'node:path';
import { findConfigFrom } from '../config/find.ts';
import type { Selection } from '../protocol/api.ts';
import { select } from '../protocol/selection.ts';
import type { Config, Service } from '../protocol/service.ts';

/**
 * Names of the selected services and their dependencies, in the order of the config.
 *
 * @throws MonocoreError `ServiceUnknown` for a name or group that is not in the config
 */
export function selectFromConfig(config: Config, { names, group }: Selection): string[] {
  const { services } = config;
  const wanted = new Set<Service>();
  const want = (service: Service): void => {
    if (wanted.has(service)) return;
    wanted.add(service);
    const dependencies = new Set(service.depends_on.map((dependency) => dependency.service));
    for (const other of services) if (dependencies.has(other.name)) want(other);
  };
  for (const service of select(services, { names, group }, 'the config')) want(service);
  return services.filter((service) => wanted.has(service)).map(({ name }) => name);
}

/**
 * Path of the config as messages show it: `-f`, or else the config in the current folder or the nearest one above, as a
 * relative path.
 *
 * @throws MonocoreError `ConfigInvalid` if a folder has several
 */
export function configPath({ file }: { readonly file?: string }): string {
  return file ?? relative('', findConfigFrom(process.cwd()) ?? 'monocore.toml');
}
