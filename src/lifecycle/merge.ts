/** What a config comes to, merged into what is known: the newer one wins, and what it does not have goes on. */
import { isDeepStrictEqual } from 'node:util';
import { MonocoreError } from '../errors.ts';
import type { Selection } from '../protocol/control.ts';
import type { Config } from '../protocol/service.ts';
import { buildGraph } from './dependencies.ts';
import type { ServiceDefinition } from './document.ts';
import { select } from './selection.ts';
import { isUp } from './starts.ts';
import type { Supervisor } from './supervisor.ts';

/** What is known beside the config. */
export interface Surroundings {
  readonly supervisors: readonly Supervisor[];
  /** Address of a group, which gets one if it has none. */
  readonly assignAddress: (group: string) => string;
}

/** What is to be up and what is not. */
export interface Merge {
  /** In the order of dependencies. */
  readonly definitions: readonly ServiceDefinition[];
  /** What runs and is to be stopped. */
  readonly surplus: readonly Supervisor[];
}

/**
 * The selected services of a config and what they depend on; and services that the config does not have, where it says
 * something else of their group.
 *
 * @param prune whether services that the config does not have are to be stopped: of the selected group, else all
 * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `Usage` for names with `prune`,
 * `StartFailed` where a group gets no address
 */
export function mergeConfig(
  config: Config,
  selection: Selection,
  prune: boolean,
  { supervisors, assignAddress }: Surroundings,
): Merge {
  if (prune && selection.names.length > 0) {
    throw new MonocoreError('Usage', 'to prune, give no names: they say nothing of other services');
  }
  const graph = buildGraph(config.services);
  const chosen = select(config.services, selection, 'the config');
  const names = new Set(chosen.flatMap(({ name }) => [...graph.dependenciesOf(name), name]));
  const definitions = graph
    .overallOrder()
    .filter((name) => names.has(name))
    .map((name): ServiceDefinition => {
      const service = graph.getNodeData(name);
      const group = config.groups.find((candidate) => candidate.name === service.group) ?? null;
      return { service, group, groupIp: group && assignAddress(group.name), kernel: config.kernel };
    });

  const absent = supervisors.filter((supervisor) => {
    const { name, group } = supervisor.definition.service;
    const isMeant = selection.names.length === 0 && (selection.group === null || selection.group === group);
    return isMeant && !graph.hasNode(name) && isUp(supervisor);
  });
  if (prune) return { definitions, surplus: absent };
  const regrouped = absent.flatMap(({ definition }) => {
    const group = config.groups.find(({ name }) => name === definition.group?.name);
    return group && !isDeepStrictEqual(group, definition.group) ? [{ ...definition, group }] : [];
  });
  return { definitions: [...definitions, ...regrouped], surplus: [] };
}
