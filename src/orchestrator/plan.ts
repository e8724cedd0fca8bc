/** Merges a config into the known services, and determines what a start does to each service. */
import { isDeepStrictEqual } from 'node:util';
import { MonocoreError } from '../lib/errors.ts';
import type { PlannedAction, Selection } from '../protocol/api.ts';
import type { Isolation } from '../protocol/isolation.ts';
import { checkOwners, isSameProject, isSuccessor, select } from '../protocol/selection.ts';
import type { Config, Service } from '../protocol/service.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { buildGraph } from './dependencies.ts';
import type { Groups } from './networks.ts';
import { checkPortClaims, type PortHolder } from './port-claims.ts';
import { describeDifferences } from './service-diff.ts';

/** Action that brings a service up as `wanted`; `known` is null for a service that is new to the daemon. */
export function planStart(
  known: Pick<Supervisor, 'definition' | 'state' | 'isUp'> | null,
  wanted: ServiceDefinition,
): Omit<PlannedAction, 'name'> {
  if (known === null || known.state.actual.status === 'Unstarted') return { action: 'create', reason: null };
  const reason = describeDifferences(known.definition, wanted).join('; ') || null;
  if (known.isUp) return { action: reason === null ? 'keep' : 'restart', reason };
  return { action: 'start', reason };
}

/** Disk that goes with a service which gets replicas, or loses them. */
export interface DiskMove {
  readonly from: string;
  readonly to: string;
  /** Of the service that gets the disk. */
  readonly isolation: Isolation;
}

interface MergeContext {
  readonly supervisors: readonly Supervisor[];
  /** Services that hold ports because they are being started. */
  readonly starting: readonly PortHolder[];
  readonly groups: Groups;
  /** True if the back end keeps a disk of the service. */
  readonly hasDisk: (isolation: Isolation, service: string) => boolean;
}

interface MergeOptions {
  /**
   * Also stops services of the project that the config does not declare, in the selected group or in all. Services of
   * profiles that were not selected still count as declared.
   */
  readonly prune?: boolean;
  /** Moves services of other projects into this one if a service to start has the same name. */
  readonly takeOver?: boolean;
}

/** Service that the config no longer declares. */
export interface Surplus {
  readonly supervisor: Supervisor;
  readonly reason: string;
}

export interface Merge {
  /** Definitions in the order of dependencies. */
  readonly definitions: readonly ServiceDefinition[];
  /** Services to stop if they are up. */
  readonly surplus: readonly Surplus[];
  /** To be made between the stop of the surplus and the start. */
  readonly moves: readonly DiskMove[];
  /** Disks that stay where they are although their service got replicas or lost them, for people. */
  readonly notes: readonly string[];
}

/**
 * Merges a config. The result covers the selected services and their dependencies, known services that the config does
 * not declare but whose group it changes, and excess replicas.
 *
 * @throws MonocoreError `ServiceUnknown` for a name that is not in the config, `Usage` for names together with `prune`,
 * `NameTaken` if another project uses the name of a service or group, `StartFailed` if no address is free for a group,
 * or if two services, one of which may be running, claim the same port
 */
export function mergeConfig(
  config: Config,
  selection: Selection,
  { prune = false, takeOver = false }: MergeOptions,
  context: MergeContext,
): Merge {
  if (prune && selection.names.length > 0) {
    throw new MonocoreError('Usage', 'to prune, give no names: they say nothing about other services');
  }
  context.groups.reserve(config.groups);
  const graph = buildGraph(config.services);
  const chosen = select(config.services, { names: selection.names, group: selection.group }, 'the config');
  const names = new Set(chosen.flatMap(({ name }) => [...graph.dependenciesOf(name), name]));
  const selected = graph
    .overallOrder()
    .filter((name) => names.has(name))
    .map((name): ServiceDefinition => {
      const service = graph.getNodeData(name);
      const group = config.groups.find((candidate) => candidate.name === service.group) ?? null;
      return {
        service,
        group,
        ...context.groups.place(service, group),
        kernel: config.kernel,
        project: config.project,
      };
    });
  const known = [...context.supervisors, ...context.starting].map(({ definition }) => {
    const { service, project = null } = definition;
    return { name: service.name, group: service.group, project };
  });
  const starting = selected.map(({ service }) => service);
  checkOwners(starting, config.project, known, takeOver);

  const declared = new Set([...config.unselected, ...config.services.map(({ name }) => name)]);
  const absent = context.supervisors.filter(
    ({ name, definition: { project = null } }) =>
      !graph.hasNode(name) && (project === null || isSameProject(project, config.project)),
  );
  const isMeant = ({ definition: { service } }: Supervisor) =>
    selection.names.length === 0 && (selection.group === null || selection.group === service.group);
  const isPruned = ({ definition: { project = null } }: Supervisor) => prune && isSameProject(project, config.project);
  const surplus = absent.flatMap((supervisor): Surplus[] => {
    if (declared.has(supervisor.name)) return [];
    const replaced = describeReplicas(supervisor.definition.service, selected);
    if (replaced !== null) return [{ supervisor, reason: replaced }];
    return isPruned(supervisor) && isMeant(supervisor) ? [{ supervisor, reason: 'not in the config' }] : [];
  });
  const surplusNames = new Set(surplus.map(({ supervisor: { name } }) => name));
  const staying = absent.filter((one) => isMeant(one) && one.isWantedUp && !surplusNames.has(one.name));
  const regrouped = staying.flatMap(({ definition }) => {
    const group = config.groups.find(({ name }) => name === definition.group?.name);
    return group && !isDeepStrictEqual(group, definition.group)
      ? [{ ...definition, group, ...context.groups.place(definition.service, group) }]
      : [];
  });
  const definitions = [...selected, ...regrouped];
  // Compares ports of services to start with those of services that keep running unchanged.
  const changing = new Set([...definitions.map(({ service }) => service.name), ...surplusNames]);
  const up = context.supervisors
    .filter((supervisor) => supervisor.active || supervisor.isWantedUp)
    .map(({ definition, active }) => ({ definition, because: active ? 'runs' : 'waits to be restarted' }));
  const holders = [...context.starting, ...up].filter(({ definition }) => !changing.has(definition.service.name));
  checkPortClaims(definitions, holders);
  return { definitions, surplus, ...planDisks(surplus, selected, context.hasDisk) };
}

/** Disks that go with a service which the config replaces by its first replica, or the other way round. */
function planDisks(
  surplus: readonly Surplus[],
  starting: readonly ServiceDefinition[],
  hasDisk: MergeContext['hasDisk'],
): Pick<Merge, 'moves' | 'notes'> {
  const moves: DiskMove[] = [];
  const notes: string[] = [];
  for (const { supervisor } of surplus) {
    const { name: from, definition } = supervisor;
    const successor = starting.find(({ service }) => isSuccessor(service, definition.service))?.service;
    if (!successor || successor.disk_mib === null || !hasDisk(successor.isolation, from)) continue;
    const { name: to, isolation } = successor;
    if (!hasDisk(isolation, to)) moves.push({ from, to, isolation });
    // Told once, when the service is replaced.
    else if (!definition.undeclared) notes.push(`the disk of ${from} stays beside that of ${to}, which exists already`);
  }
  return { moves, notes };
}

/** Name that refers to the service and all its replicas. */
function baseOf({ name, replica_of }: Service): string {
  return replica_of ?? name;
}

/**
 * Reason why services to start replace a service that the config does not declare: it is an excess replica, or it had
 * no replicas before. Null if neither applies.
 */
function describeReplicas(service: Service, starting: readonly ServiceDefinition[]): string | null {
  const base = baseOf(service);
  const now = starting.filter((other) => baseOf(other.service) === base).map((other) => other.service.name);
  if (now.length === 0) return null;
  const names = now.length === 1 ? now[0] : `${now[0]} to ${now.at(-1)}`;
  return `not in the config, where ${base} means ${names}`;
}
