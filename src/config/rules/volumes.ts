/** Rules for shared volumes and variables: references to those of a group, and overlapping paths. */

import { didYouMean } from '../../lib/closest.ts';
import { capabilitiesOf } from '../../protocol/isolation.ts';
import type { ParsedGroup, ParsedService } from '../keys.ts';
import { type Path, quote } from '../languages/document.ts';
import { formatPath, type PathProblem, valueProblem } from '../problems.ts';
import type { ParsedConfig } from '../schema/parsed-config.ts';
import { upwards } from '../schema/values.ts';
import { toVolume } from '../schema/volumes.ts';
import { findRepeatedNames, MAX_SUGGESTIONS } from './rules.ts';

interface PathUse {
  readonly at: Path;
  readonly path: string;
  /** Owner of the path, the only one that may use it more than once: a group, or a service without a group. */
  readonly owner: string;
}

/** Problems with volumes, and with variables that services take from their groups. Pure. */
export function checkShares({ services, groups: tables }: ParsedConfig): PathProblem[] {
  const groups = indexGroups(tables);
  return [
    ...tables.flatMap(({ values }) => KINDS.flatMap((kind) => findRepeatedNames(values[kind] ?? []))),
    ...services.flatMap((service) => [
      ...KINDS.flatMap((kind) => findUnknownReferences(service, groups, kind)),
      ...findMisplacedMounts(service, groups),
      ...findRepeatedHostPaths(service),
      ...findGuestOverlaps(service, groups),
    ]),
    ...findHostOverlaps(services, tables),
  ];
}

/** Tables of a group that its services can refer to. */
const KINDS = ['env', 'volume'] as const;
type Kind = (typeof KINDS)[number];

/** Names that a group shares; for volumes with their paths. */
type Shared = Readonly<Record<Kind, Map<string, string | undefined>>>;

type Groups = ReadonlyMap<unknown, Shared>;

function indexGroups(groups: readonly ParsedGroup[]): Groups {
  const index = new Map<unknown, Shared>();
  for (const { table, values } of groups) {
    if (typeof table.name !== 'string' || index.has(table.name)) continue;
    const shared: Shared = { env: new Map(), volume: new Map() };
    for (const { table } of values.env ?? []) {
      if (hasName(table)) shared.env.set(String(table.name), undefined);
    }
    for (const { table, values: own } of values.volume ?? []) {
      const name = hasName(table) ? String(table.name) : null;
      if (name !== null && !shared.volume.has(name)) shared.volume.set(name, own.path);
    }
    index.set(table.name, shared);
  }
  return index;
}

/**
 * True if the name is a string, so that a service can refer to it. A table there is reported elsewhere; it has no
 * prototype and cannot be converted to a string.
 */
function hasName({ name }: ParsedGroup['table']): boolean {
  return typeof name !== 'object';
}

/**
 * Checks that elements of `group_envs` and `group_volumes` refer to entries of the service's own group, to each
 * variable once.
 */
function findUnknownReferences({ path, table, values }: ParsedService, groups: Groups, kind: Kind): PathProblem[] {
  const key = `group_${kind}s` as const;
  // A group that does not exist has already been reported.
  const known = groups.get(values.group)?.[kind];
  const seen = new Set<string>();
  const problems: PathProblem[] = [];
  for (const [index, reference] of (values[key] ?? []).entries()) {
    const name = typeof reference === 'string' ? reference : reference.name;
    const written = (table[key] as readonly unknown[])[index];
    const at = [...path, key, index, ...(typeof written === 'string' ? [] : ['name'])];
    let problem: string | null = null;
    if (values.group === null) {
      problem = `the service has no group to take ${kind === 'env' ? 'variables' : 'volumes'} from`;
    } else if (typeof values.group === 'string' && known !== undefined && !known.has(name)) {
      const candidates = problems.length < MAX_SUGGESTIONS ? known.keys() : [];
      problem = describeUnknown(name, kind, values.group, groups, candidates);
    } else if (kind === 'env' && seen.has(name)) {
      problem = `${quote(name)} is named twice`;
    }
    seen.add(name);
    if (problem !== null) problems.push(valueProblem(at, problem));
  }
  return problems;
}

function describeUnknown(name: string, kind: Kind, group: string, groups: Groups, candidates: Iterable<string>) {
  const reference = `[[group.${kind}]] ${quote(name)}`;
  const [owner] = [...groups].find(([, shared]) => shared[kind].has(name)) ?? [];
  if (owner !== undefined)
    return `${reference} belongs to the group ${quote(String(owner))}; a service takes from its own group only`;
  return `the group ${quote(group)} has no ${reference}${didYouMean(name, candidates)}`;
}

/** Yields elements of `group_volumes` whose volume exists, each with the resulting volume of the service. */
function eachMount({ path, values }: ParsedService, groups: Groups) {
  return (values.group_volumes ?? []).flatMap(({ name, mount }, index) => {
    const base = groups.get(values.group)?.volume.get(name);
    return base === undefined ? [] : [{ at: [...path, 'group_volumes', index], volume: toVolume(base, mount) }];
  });
}

function findMisplacedMounts(service: ParsedService, groups: Groups): PathProblem[] {
  return eachMount(service, groups).flatMap(({ at, volume }) => {
    if (!('problem' in volume)) return [];
    const written = (service.table.group_volumes as readonly unknown[])[Number(at.at(-1))];
    return [valueProblem(typeof written === 'string' ? at : [...at, 'mount'], volume.problem)];
  });
}

function findRepeatedHostPaths({ path, values }: ParsedService): PathProblem[] {
  const first = new Map<string, number>();
  return (values.volumes ?? []).flatMap(({ host }, index) => {
    const earlier = first.get(host);
    if (earlier === undefined) first.set(host, index);
    if (earlier === undefined) return [];
    return [valueProblem([...path, 'volumes', index], `${quote(host)} is already volumes[${earlier}]`)];
  });
}

/** Volumes inside another volume of the same guest: the order of mounts would decide which of them is visible. */
function findGuestOverlaps(service: ParsedService, groups: Groups): PathProblem[] {
  const owner = '';
  const own = (service.values.volumes ?? []).map(({ guest }, index) => ({
    at: [...service.path, 'volumes', index],
    path: guest,
    owner,
  }));
  const ownPaths = new Set(own.map(({ path }) => path));
  const taken = eachMount(service, groups).flatMap(({ at, volume }) =>
    // The service's own volume overrides the group's at the same path.
    'problem' in volume || ownPaths.has(volume.guest) ? [] : [{ at, path: volume.guest, owner }],
  );
  return findOverlaps([...own, ...taken], () => true).map(({ inner, outer }) => {
    const relation = inner.path === outer.path ? 'is already' : 'is in';
    return valueProblem(inner.at, `${quote(inner.path)} of the guest ${relation} ${formatPath(outer.at)}`);
  });
}

/** Host paths shared by two groups: through such a path one group could change what the other sees. */
function findHostOverlaps(services: readonly ParsedService[], groups: readonly ParsedGroup[]): PathProblem[] {
  const uses: PathUse[] = groups.flatMap((group) =>
    (group.values.volume ?? []).flatMap(({ path, values }) =>
      values.path === undefined
        ? []
        : [{ at: [...path, 'path'], path: values.path, owner: ownerOf(group.values.name, group.path) }],
    ),
  );
  for (const { path, values } of services) {
    const { isolation, group, volumes = [] } = values;
    if (isolation === undefined || !capabilitiesOf(isolation).files || group === undefined) continue;
    const owner = ownerOf(group, path);
    for (const [index, { host }] of volumes.entries())
      uses.push({ at: [...path, 'volumes', index], path: host, owner });
  }
  return findOverlaps(uses, (one, other) => one.owner !== other.owner).map(({ inner, outer }) => {
    const relation = inner.path === outer.path ? 'is' : 'is in';
    const message = `${quote(inner.path)} of the host ${relation} ${formatPath(outer.at)}; only services of one group may share files`;
    return valueProblem(inner.at, message, 'paths that do not overlap, or one group for both');
  });
}

function ownerOf(group: string | null | undefined, path: Path): string {
  return typeof group === 'string' ? `group ${group}` : formatPath(path);
}

/**
 * Uses whose path equals or lies below the path of an earlier use. Avoids comparing all pairs, of which there may be
 * billions.
 */
function findOverlaps(uses: readonly PathUse[], concerns: (inner: PathUse, outer: PathUse) => boolean) {
  const first = new Map<string, PathUse>();
  const overlaps: { inner: PathUse; outer: PathUse }[] = [];
  for (const inner of uses) {
    const outer = first.get(inner.path);
    if (outer === undefined) first.set(inner.path, inner);
    else if (concerns(inner, outer)) overlaps.push({ inner, outer });
  }
  for (const inner of first.values()) {
    for (const folder of upwards(inner.path)) {
      const outer = folder === inner.path ? undefined : first.get(folder);
      if (outer === undefined || !concerns(inner, outer)) continue;
      overlaps.push({ inner, outer });
      break;
    }
  }
  return overlaps;
}
