/** Merge of a config into the known services, and the action that a start means for each service. */
import { isDeepStrictEqual } from 'node:util';
import { MonocoreError } from '../lib/errors.ts';
import type { PlannedAction, Selection } from '../protocol/api.ts';
import { select } from '../protocol/selection.ts';
import type { Config } from '../protocol/service.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { buildGraph } from './dependencies.ts';
import type { Groups } from './networks.ts';
import { checkPortClaims, type PortHolder } from './port-claims.ts';
import { describeDifferences } from './service-diff.ts';

/** The action that brings a service up as `wanted`; `known` is null for a service that is new to the daemon. */
export function planStart(
  known: Pick<Supervisor, 'definition' | 'state' | 'isUp'> | null,
  wanted: ServiceDefinition,
): Omit<PlannedAction, 'name'> {
  if (known === null || known.state.actual.status === 'Unstarted') return { action: 'create', reason: null };
  const reason = describeDifferences(known.definition, wanted).join('; ') || null;
  if (known.isUp) return { action: reason === null ? 'keep' : 'restart', reason };
  return { action: 'start', reason };
}

interface MergeContext {
  readonly supervisors: readonly Supervisor[];
  /** Services that hold ports because they are being started. */
  readonly starting: readonly PortHolder[];
  readonly groups: Groups;
}

export interface Merge {
  /** In the order of dependencies. */
  readonly definitions: readonly ServiceDefinition[];
  /** Services to stop: they run, or wait to be restarted. */
  readonly surplus: readonly Supervisor[];
}

/**
 * Merges a config: the selected services and their dependencies; and known services that the config lacks, where it
 * changes their group.
 *
 * @param prune true: also stops services that the config lacks, of the selected group or of all. Services of profiles that
 * were not chosen are not lacking
 * @throws MonocoreError `ServiceUnknown` for a name that the config lacks, `Usage` for names with `prune`, `StartFailed`
 * where a group gets no address, and for a port that two services claim, one of which may have it already
 */
export function mergeConfig(config: Config, selection: Selection, prune: boolean, context: MergeContext): Merge {
  if (prune && selection.names.length > 0) {
    throw new MonocoreError('Usage', 'to prune, give no names: they say nothing about other services');
  }
  const graph = buildGraph(config.services);
  const chosen = select(config.services, selection, 'the config');
  const names = new Set(chosen.flatMap(({ name }) => [...graph.dependenciesOf(name), name]));
  const selected = graph
    .overallOrder()
    .filter((name) => names.has(name))
    .map((name): ServiceDefinition => {
      const service = graph.getNodeData(name);
      const group = config.groups.find((candidate) => candidate.name === service.group) ?? null;
      return { service, group, ...context.groups.place(service, group), kernel: config.kernel };
    });

  const absent = context.supervisors.filter((supervisor) => {
    const { name, group } = supervisor.definition.service;
    const isMeant = selection.names.length === 0 && (selection.group === null || selection.group === group);
    return isMeant && !graph.hasNode(name) && supervisor.isWantedUp;
  });
  const unselected = new Set(config.unselected);
  const surplus = prune ? absent.filter(({ name }) => !unselected.has(name)) : [];
  const staying = absent.filter((supervisor) => !surplus.includes(supervisor));
  const regrouped = staying.flatMap(({ definition }) => {
    const group = config.groups.find(({ name }) => name === definition.group?.name);
    return group && !isDeepStrictEqual(group, definition.group) ? [{ ...definition, group }] : [];
  });
  const definitions = [...selected, ...regrouped];
  // Ports of services to start, against those of services that stay up as they are.
  const changing = new Set([...definitions.map(({ service }) => service.name), ...surplus.map(({ name }) => name)]);
  const up = context.supervisors
    .filter((supervisor) => supervisor.active || supervisor.isWantedUp)
    .map(({ definition, active }) => ({ definition, because: active ? 'runs' : 'waits to be restarted' }));
  const holders = [...context.starting, ...up].filter(({ definition }) => !changing.has(definition.service.name));
  checkPortClaims(definitions, holders);
  return { definitions, surplus };
}
