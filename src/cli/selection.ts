/** The config and the services of a start. Not in options.ts: most commands need none of the config's modules. */
import { resolve } from 'node:path';
import { findConfig } from '../config/load.ts';
import { didYouMean } from '../config/problems.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import { findNamed } from '../protocol/selection.ts';
import type { Config } from '../protocol/service.ts';

/**
 * Names of the selected services and their dependencies, in the config's order.
 *
 * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `Usage` for such a group
 */
export function selectFromConfig(config: Config, { names, group }: Selection): string[] {
  const services = new Map(config.services.map((service) => [service.name, service]));
  const unknown = names.filter((name) => findNamed(config.services, name).length === 0);
  if (unknown.length > 0) {
    const known = config.services.flatMap(({ name, replica_of }) => [
      name,
      ...(replica_of === null ? [] : [replica_of]),
    ]);
    const lines = unknown.map((name) => `the config has no service "${name}"${didYouMean(name, known)}`);
    throw new MonocoreError('ServiceUnknown', lines.join('\n'));
  }
  const groups = config.groups.map((known) => known.name);
  if (group !== null && !groups.includes(group)) {
    throw new MonocoreError('Usage', `the config has no group "${group}"${didYouMean(group, groups)}`);
  }

  const wanted = new Set<string>();
  const chosen =
    names.length > 0
      ? names.flatMap((name) => findNamed(config.services, name))
      : config.services.filter((service) => group === null || service.group === group);
  const pending = chosen.map(({ name }) => name);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (wanted.has(name)) continue;
    wanted.add(name);
    pending.push(...(services.get(name)?.depends_on ?? []).map(({ service }) => service));
  }
  return config.services.map(({ name }) => name).filter((name) => wanted.has(name));
}

/**
 * Absolute path of the config: `-f`, else the one in the current folder.
 *
 * @throws MonocoreError `ConfigInvalid` if the folder has several
 */
export function configPath({ file }: { readonly file?: string }): string {
  return file === undefined ? findConfig(process.cwd()) : resolve(file);
}
