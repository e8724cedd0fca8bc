/** The rules on what services share: volumes and variables of their group, paths that overlap. */
import { type Fault, formatPath, type Path, quote, valueFault } from './fault.ts';
import type { Declaration, Outline } from './outline.ts';
import { upwards } from './paths.ts';
import type { GroupValues, ServiceValues } from './schema.ts';
import { closest } from './suggest.ts';
import { type GroupMountValues, toVolume } from './volume-schema.ts';

type ServiceDeclaration = Declaration<ServiceValues>;
type GroupDeclaration = Declaration<GroupValues>;

/** A path of the host or the guest, and where the config says it. */
interface PathUse {
  readonly at: Path;
  readonly path: string;
  /** What may use one path more than once: the name of a group, or the path of a service without one. */
  readonly owner: string;
}

/** Every fault of volumes, and of the variables that services take from their groups. Pure. */
export function checkShares({ services, groups }: Outline): Fault[] {
  return [
    ...groups.flatMap(({ values }) => [...findRepeated(values.volume ?? []), ...findRepeated(values.env ?? [])]),
    ...services.flatMap((service) => [
      ...findUnknownReferences(service, groups, 'env'),
      ...findUnknownReferences(service, groups, 'volume'),
      ...findMisplacedMounts(service, groups),
      ...findRepeatedHostPaths(service),
      ...findGuestOverlaps(service, groups),
    ]),
    ...findHostOverlaps(services, groups),
  ];
}

function findRepeated(declarations: readonly Declaration<{ readonly name: string }>[]): Fault[] {
  const owners = new Map<string, Path>();
  return declarations.flatMap(({ path, values: { name } }) => {
    const owner = name === undefined ? undefined : owners.get(name);
    if (name !== undefined && owner === undefined) owners.set(name, path);
    if (owner === undefined) return [];
    return [valueFault([...path, 'name'], `${quote(name!)} is the name of ${formatPath(owner)} already`)];
  });
}

/** `group_envs` and `group_volumes` name what the own group has, each once. */
function findUnknownReferences(
  { path, table, values }: ServiceDeclaration,
  groups: readonly GroupDeclaration[],
  kind: 'env' | 'volume',
): Fault[] {
  const key = `group_${kind}s` as const;
  const names = (values[key] ?? []).map((element) => (typeof element === 'string' ? element : element.name));
  const group = groups.find((candidate) => candidate.values.name === values.group);
  const seen = new Set<string>();
  return names.flatMap((name, index) => {
    const element = (table[key] as readonly unknown[] | undefined)?.[index];
    const at = [...path, key, index, ...(typeof element === 'string' || element === undefined ? [] : ['name'])];
    // A group that is faulty or unknown was reported already.
    const fault =
      values.group === null
        ? `the service has no group, whose ${kind === 'env' ? 'variables' : 'volumes'} it could take`
        : group && findReferenceFault(name, kind, group, groups);
    if (fault) return [valueFault(at, fault)];
    if (kind === 'env' && seen.has(name)) return [valueFault(at, `${quote(name)} is named twice`)];
    seen.add(name);
    return [];
  });
}

function findReferenceFault(
  name: string,
  kind: 'env' | 'volume',
  group: GroupDeclaration,
  groups: readonly GroupDeclaration[],
) {
  const namesOf = (declaration: GroupDeclaration) => (declaration.values[kind] ?? []).map(({ table }) => table.name);
  const own = namesOf(group).filter((candidate) => typeof candidate === 'string');
  if (own.includes(name)) return null;
  const what = `[[group.${kind}]] ${quote(name)}`;
  const other = groups.find((candidate) => namesOf(candidate).includes(name));
  if (other)
    return `${what} belongs to the group ${quote(String(other.table.name))}; a service takes from its own group only`;
  const meant = closest(name, own);
  const hint = meant === null ? '' : `; did you mean ${quote(meant)}?`;
  return `the group ${quote(String(group.table.name))} has no ${what}${hint}`;
}

/** Each element of `group_volumes` whose volume is known, with what it comes to. */
function eachMount({ path, values }: ServiceDeclaration, groups: readonly GroupDeclaration[]) {
  const group = groups.find((candidate) => candidate.values.name === values.group);
  return (values.group_volumes ?? []).flatMap(({ name, mount }: GroupMountValues, index) => {
    const base = group?.values.volume?.find((volume) => volume.values.name === name)?.values.path;
    return base === undefined ? [] : [{ at: [...path, 'group_volumes', index], volume: toVolume(base, mount) }];
  });
}

function findMisplacedMounts(service: ServiceDeclaration, groups: readonly GroupDeclaration[]): Fault[] {
  return eachMount(service, groups).flatMap(({ at, volume }) => {
    if (!('fault' in volume)) return [];
    const element = (service.table.group_volumes as readonly unknown[])[Number(at.at(-1))];
    return [valueFault(typeof element === 'string' ? at : [...at, 'mount'], volume.fault)];
  });
}

function findRepeatedHostPaths({ path, values }: ServiceDeclaration): Fault[] {
  const first = new Map<string, number>();
  return (values.volumes ?? []).flatMap(({ host }, index) => {
    const earlier = first.get(host);
    if (earlier === undefined) first.set(host, index);
    if (earlier === undefined) return [];
    return [valueFault([...path, 'volumes', index], `${quote(host)} is volumes[${earlier}] already`)];
  });
}

/** One volume in another one of the guest, whose place would depend on the order of mounts. */
function findGuestOverlaps(service: ServiceDeclaration, groups: readonly GroupDeclaration[]): Fault[] {
  const owner = '';
  const own = (service.values.volumes ?? []).map(({ guest }, index) => ({
    at: [...service.path, 'volumes', index],
    path: guest,
    owner,
  }));
  const ownPaths = new Set(own.map(({ path }) => path));
  const taken = eachMount(service, groups).flatMap(({ at, volume }) =>
    // One at the very place of an own one gives way to it.
    'fault' in volume || ownPaths.has(volume.guest) ? [] : [{ at, path: volume.guest, owner }],
  );
  return findOverlaps([...own, ...taken], () => true).map(({ inner, outer }) => {
    const relation = inner.path === outer.path ? 'is' : 'is in';
    return valueFault(inner.at, `${quote(inner.path)} of the guest ${relation} ${formatPath(outer.at)} already`);
  });
}

/** What one group can write must not be what another one sees: by volumes, groups would not be apart. */
function findHostOverlaps(services: readonly ServiceDeclaration[], groups: readonly GroupDeclaration[]): Fault[] {
  const uses: PathUse[] = groups.flatMap((group) =>
    (group.values.volume ?? []).flatMap(({ path, values }) =>
      values.path === undefined
        ? []
        : [{ at: [...path, 'path'], path: values.path, owner: ownerOf(group.values.name, group.path) }],
    ),
  );
  for (const { path, values } of services) {
    if (values.isolation !== 'vm' || values.group === undefined) continue;
    const owner = ownerOf(values.group, path);
    for (const [index, { host }] of (values.volumes ?? []).entries()) {
      uses.push({ at: [...path, 'volumes', index], path: host, owner });
    }
  }
  return findOverlaps(uses, (one, other) => one.owner !== other.owner).map(({ inner, outer }) => {
    const relation = inner.path === outer.path ? 'is' : 'is in';
    const message = `${quote(inner.path)} of the host ${relation} ${formatPath(outer.at)}, which is another group's`;
    return valueFault(inner.at, message, 'paths that do not overlap, or services of one group');
  });
}

function ownerOf(group: string | null | undefined, path: Path): string {
  return typeof group === 'string' ? `group ${group}` : formatPath(path);
}

/**
 * Each use whose path is the path of an earlier one or below one. Looks at the folders above each path rather than at all
 * pairs, of which there may be billions.
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
