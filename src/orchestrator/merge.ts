/** What a config comes to, merged into what is known: the newer one wins, and what it does not have goes on. */
import { isDeepStrictEqual } from 'node:util';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import { select } from '../protocol/selection.ts';
import type { Config, Group, Service } from '../protocol/service.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { buildGraph } from './dependencies.ts';
import type { Place } from './networks.ts';
import { checkPortClaims, type PortHolder } from './port-claims.ts';
import { isWantedUp } from './start-scheduler.ts';

/** What is known beside the config. */
export interface Surroundings {
  readonly supervisors: readonly Supervisor[];
  /** What has ports because of starts that are not over. */
  readonly holders: readonly PortHolder[];
  /** Place of a service, which gets one if it has none. */
  readonly placeOf: (service: Service, group: Group | null) => Place;
}

/** What is to be up and what is not. */
export interface Merge {
  /** In the order of dependencies. */
  readonly definitions: readonly ServiceDefinition[];
  /** What runs, or waits to be restarted, and is to be stopped. */
  readonly surplus: readonly Supervisor[];
}

/**
 * The selected services of a config and what they depend on; and services that the config does not have, where it says
 * something else of their group.
 *
 * @param prune whether services that the config does not have are to be stopped: of the selected group, else all. Those
 * whose profiles were not chosen it has
 * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `Usage` for names with `prune`,
 * `StartFailed` where a group gets no address, and for a port that two services claim, one of which may have it already
 */
export function mergeConfig(
  config: Config,
  selection: Selection,
  prune: boolean,
  { supervisors, holders: starting, placeOf }: Surroundings,
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
      return { service, group, ...placeOf(service, group), kernel: config.kernel };
    });

  /** What is up, or is to be, keeps its ports, unless it is to change. */
  const checked = (merge: Merge): Merge => {
    const changing = new Set(merge.definitions.map(({ service }) => service.name));
    for (const { name } of merge.surplus) changing.add(name);
    const holders: PortHolder[] = [
      ...starting,
      ...supervisors
        .filter((supervisor) => supervisor.active || isWantedUp(supervisor))
        .map(({ definition, active }) => ({ definition, because: active ? 'runs' : 'waits to be restarted' })),
    ];
    const untouched = holders.filter(({ definition }) => !changing.has(definition.service.name));
    checkPortClaims(merge.definitions, untouched);
    return merge;
  };

  const absent = supervisors.filter((supervisor) => {
    const { name, group } = supervisor.definition.service;
    const isMeant = selection.names.length === 0 && (selection.group === null || selection.group === group);
    return isMeant && !graph.hasNode(name) && isWantedUp(supervisor);
  });
  const unselected = new Set(config.unselected);
  const surplus = prune ? absent.filter(({ name }) => !unselected.has(name)) : [];
  const staying = absent.filter((supervisor) => !surplus.includes(supervisor));
  const regrouped = staying.flatMap(({ definition }) => {
    const group = config.groups.find(({ name }) => name === definition.group?.name);
    return group && !isDeepStrictEqual(group, definition.group) ? [{ ...definition, group }] : [];
  });
  return checked({ definitions: [...definitions, ...regrouped], surplus });
}
