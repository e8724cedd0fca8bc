/** The config and the services of a start. Not in options.ts: most commands need none of the config's modules. */
import { relative } from 'node:path';
import { findConfigFrom } from '../config/find.ts';
import { didYouMean } from '../config/problems.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import { findNamed } from '../protocol/selection.ts';
import type { Config, Service } from '../protocol/service.ts';

/**
 * Names of the selected services and their dependencies, in the config's order.
 *
 * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `Usage` for such a group
 */
export function selectFromConfig(config: Config, { names, group }: Selection): string[] {
  const { services } = config;
  const found = names.map((name) => findNamed(services, name));
  const unknown = names.filter((_, index) => found[index]!.length === 0);
  if (unknown.length > 0) {
    const known = services.flatMap(({ name, replica_of }) => (replica_of === null ? name : [name, replica_of]));
    const lines = unknown.map((name) => `the config has no service "${name}"${didYouMean(name, known)}`);
    throw new MonocoreError('ServiceUnknown', lines.join('\n'));
  }
  const groups = config.groups.map((known) => known.name);
  if (group !== null && !groups.includes(group)) {
    throw new MonocoreError('Usage', `the config has no group "${group}"${didYouMean(group, groups)}`);
  }

  const wanted = new Set<Service>();
  const want = (service: Service): void => {
    if (wanted.has(service)) return;
    wanted.add(service);
    const dependencies = new Set(service.depends_on.map((dependency) => dependency.service));
    for (const other of services) if (dependencies.has(other.name)) want(other);
  };
  const isInGroup = (service: Service) => group === null || service.group === group;
  for (const service of names.length > 0 ? found.flat() : services.filter(isInGroup)) want(service);
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
