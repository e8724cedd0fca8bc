/** The config and the services of a start. Not in options.ts: most commands need none of the config's modules. */
import { relative } from 'node:path';
import { findConfigFrom } from '../config/find.ts';
import type { Selection } from '../protocol/api.ts';
import { select } from '../protocol/selection.ts';
import type { Config, Service } from '../protocol/service.ts';

/**
 * Names of the selected services and their dependencies, in the config's order.
 *
 * @throws MonocoreError `ServiceUnknown` for a name or group that the config does not have
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
 * Path of the config, as messages name it: `-f`, else the one of the current folder or above it, relative to that folder.
 *
 * @throws MonocoreError `ConfigInvalid` if a folder has several
 */
export function configPath({ file }: { readonly file?: string }): string {
  return file ?? relative('', findConfigFrom(process.cwd()) ?? 'monocore.toml');
}
