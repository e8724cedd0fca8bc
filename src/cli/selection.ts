/** The config and the services of a start. Apart from options.ts, since reading a config takes many modules. */
import { resolve } from 'node:path';
import { findConfig } from '../config/load.ts';
import { closest } from '../config/problems.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import { findNamed } from '../protocol/selection.ts';
import type { Config } from '../protocol/service.ts';

/**
 * Names of the services that a start of `selection` concerns: the selected ones and what they depend on, in the
 * config's order.
 *
 * @throws MonocoreError `ServiceUnknown` for names that the config does not have, `Usage` for such a group
 */
export function selectFromConfig(config: Config, { names, group }: Selection): string[] {
  const services = new Map(config.services.map((service) => [service.name, service]));
  const unknown = names.filter((name) => findNamed(config.services, name).length === 0);
  if (unknown.length > 0) {
    const known = config.services.flatMap(({ name, replica_of }) => [
      name,
      ...(replica_of === null ? [] : [replica_of]),
    ]);
    const lines = unknown.map((name) => `the config has no service "${name}"${suggest(name, known)}`);
    throw new MonocoreError('ServiceUnknown', lines.join('\n'));
  }
  const groups = config.groups.map((known) => known.name);
  if (group !== null && !groups.includes(group)) {
    throw new MonocoreError('Usage', `the config has no group "${group}"${suggest(group, groups)}`);
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

function suggest(word: string, candidates: readonly string[]): string {
  const suggestion = closest(word, candidates);
  return suggestion ? `; did you mean "${suggestion}"?` : '';
}

/**
 * Absolute path of the config that `-f` names, or else of the one in the current folder.
 *
 * @throws MonocoreError `ConfigInvalid` where there are several
 */
export function configPath({ file }: { readonly file?: string }): string {
  return file === undefined ? findConfig(process.cwd()) : resolve(file);
}
