/** The rules on what services share: volumes and variables of their group, paths that overlap. */
import { capabilitiesOf } from '../../protocol/isolation.ts';
import type { ParsedGroup, ParsedService } from '../keys.ts';
import type { Path } from '../languages/positions.ts';
import { upwards } from '../paths.ts';
import { didYouMean, formatPath, type PathProblem, quote, valueProblem } from '../problems.ts';
import type { ParsedConfig } from '../schema/parsed-config.ts';
import type { ParsedTable } from '../schema/types.ts';
import { toVolume } from '../schema/volumes.ts';

/** A path of the host or the guest, and where the config says it. */
interface PathUse {
  readonly at: Path;
  readonly path: string;
  /** What may use one path more than once: the name of a group, or the path of a service without one. */
  readonly owner: string;
}

/** Every problem of volumes, and of the variables that services take from their groups. Pure. */
export function checkShares({ services, groups: declarations }: ParsedConfig): PathProblem[] {
  const groups = new Groups(declarations);
  return [
    ...declarations.flatMap(({ values }) => [...findRepeated(values.volume ?? []), ...findRepeated(values.env ?? [])]),
    ...services.flatMap((service) => [
      ...findUnknownReferences(service, groups, 'env'),
      ...findUnknownReferences(service, groups, 'volume'),
      ...findMisplacedMounts(service, groups),
      ...findRepeatedHostPaths(service),
      ...findGuestOverlaps(service, groups),
    ]),
    ...findHostOverlaps(services, declarations),
  ];
}

/** What groups share, found by name. */
class Groups {
  readonly #byName = new Map<string, { env: Set<string>; volume: Map<string, string | undefined> }>();
  /** The group that a name belongs to. */
  readonly owners = { env: new Map<string, string>(), volume: new Map<string, string>() };

  constructor(groups: readonly ParsedGroup[]) {
    for (const { table, values } of groups) {
      const { name } = table;
      if (typeof name !== 'string' || this.#byName.has(name)) continue;
      const env = new Set<string>();
      const volume = new Map<string, string | undefined>();
      for (const declaration of values.env ?? []) env.add(String(declaration.table.name));
      for (const declaration of values.volume ?? []) {
        const own = String(declaration.table.name);
        if (!volume.has(own)) volume.set(own, declaration.values.path);
      }
      for (const own of env) this.owners.env.set(own, name);
      for (const own of volume.keys()) this.owners.volume.set(own, name);
      this.#byName.set(name, { env, volume });
    }
  }

  /** Names of what a group shares; undefined for a group that there is not, which was reported already. */
  names(group: string | null | undefined, kind: 'env' | 'volume'): readonly string[] | undefined {
    const found = typeof group === 'string' ? this.#byName.get(group) : undefined;
    return found && [...found[kind].keys()];
  }

  /** Whether a group shares that. */
  has(group: string, kind: 'env' | 'volume', name: string): boolean {
    return this.#byName.get(group)?.[kind].has(name) === true;
  }

  /** Path of a group's volume. */
  path(group: string | null | undefined, name: string): string | undefined {
    return typeof group === 'string' ? this.#byName.get(group)?.volume.get(name) : undefined;
  }
}

function findRepeated(declarations: readonly ParsedTable<{ readonly name: string }>[]): PathProblem[] {
  const owners = new Map<string, Path>();
  return declarations.flatMap(({ path, values: { name } }) => {
    const owner = name === undefined ? undefined : owners.get(name);
    if (name !== undefined && owner === undefined) owners.set(name, path);
    if (owner === undefined) return [];
    return [valueProblem([...path, 'name'], `${quote(name!)} is the name of ${formatPath(owner)} already`)];
  });
}

/** To look for what was meant takes its time, and nobody reads on so far. */
const MAX_SUGGESTIONS = 100;

/** `group_envs` and `group_volumes` name what the own group has, each once. */
function findUnknownReferences(
  { path, table, values }: ParsedService,
  groups: Groups,
  kind: 'env' | 'volume',
): PathProblem[] {
  const key = `group_${kind}s` as const;
  const elements = (values[key] ?? []).map((element) => (typeof element === 'string' ? element : element.name));
  const known = groups.names(values.group, kind);
  const seen = new Set<string>();
  const problems: PathProblem[] = [];
  for (const [index, name] of elements.entries()) {
    const element = (table[key] as readonly unknown[] | undefined)?.[index];
    const at = [...path, key, index, ...(typeof element === 'string' || element === undefined ? [] : ['name'])];
    let problem: string | null = null;
    if (values.group === null) {
      problem = `the service has no group, whose ${kind === 'env' ? 'variables' : 'volumes'} it could take`;
    } else if (known !== undefined && typeof values.group === 'string' && !groups.has(values.group, kind, name)) {
      problem = describeUnknown(name, kind, values.group, groups, problems.length < MAX_SUGGESTIONS ? known : []);
    } else if (kind === 'env' && seen.has(name)) {
      problem = `${quote(name)} is named twice`;
    }
    seen.add(name);
    if (problem !== null) problems.push(valueProblem(at, problem));
  }
  return problems;
}

function describeUnknown(
  name: string,
  kind: 'env' | 'volume',
  group: string,
  groups: Groups,
  known: readonly string[],
) {
  const what = `[[group.${kind}]] ${quote(name)}`;
  const other = groups.owners[kind].get(name);
  if (other !== undefined)
    return `${what} belongs to the group ${quote(other)}; a service takes from its own group only`;
  return `the group ${quote(group)} has no ${what}${didYouMean(name, known)}`;
}

/** Each element of `group_volumes` whose volume is known, with what it comes to. */
function eachMount({ path, values }: ParsedService, groups: Groups) {
  return (values.group_volumes ?? []).flatMap(({ name, mount }, index) => {
    const base = groups.path(values.group, name);
    return base === undefined ? [] : [{ at: [...path, 'group_volumes', index], volume: toVolume(base, mount) }];
  });
}

function findMisplacedMounts(service: ParsedService, groups: Groups): PathProblem[] {
  return eachMount(service, groups).flatMap(({ at, volume }) => {
    if (!('problem' in volume)) return [];
    const element = (service.table.group_volumes as readonly unknown[])[Number(at.at(-1))];
    return [valueProblem(typeof element === 'string' ? at : [...at, 'mount'], volume.problem)];
  });
}

function findRepeatedHostPaths({ path, values }: ParsedService): PathProblem[] {
  const first = new Map<string, number>();
  return (values.volumes ?? []).flatMap(({ host }, index) => {
    const earlier = first.get(host);
    if (earlier === undefined) first.set(host, index);
    if (earlier === undefined) return [];
    return [valueProblem([...path, 'volumes', index], `${quote(host)} is volumes[${earlier}] already`)];
  });
}

/** One volume in another one of the guest, whose place would depend on the order of mounts. */
function findGuestOverlaps(service: ParsedService, groups: Groups): PathProblem[] {
  const owner = '';
  const own = (service.values.volumes ?? []).map(({ guest }, index) => ({
    at: [...service.path, 'volumes', index],
    path: guest,
    owner,
  }));
  const ownPaths = new Set(own.map(({ path }) => path));
  const taken = eachMount(service, groups).flatMap(({ at, volume }) =>
    // One at the very place of an own one gives way to it.
    'problem' in volume || ownPaths.has(volume.guest) ? [] : [{ at, path: volume.guest, owner }],
  );
  return findOverlaps([...own, ...taken], () => true).map(({ inner, outer }) => {
    const relation = inner.path === outer.path ? 'is' : 'is in';
    return valueProblem(inner.at, `${quote(inner.path)} of the guest ${relation} ${formatPath(outer.at)} already`);
  });
}

/** What one group can write must not be what another one sees: by volumes, groups would not be apart. */
function findHostOverlaps(services: readonly ParsedService[], groups: readonly ParsedGroup[]): PathProblem[] {
  const uses: PathUse[] = groups.flatMap((group) =>
    (group.values.volume ?? []).flatMap(({ path, values }) =>
      values.path === undefined
        ? []
        : [{ at: [...path, 'path'], path: values.path, owner: ownerOf(group.values.name, group.path) }],
    ),
  );
  for (const { path, values } of services) {
    if (values.isolation === undefined || values.group === undefined) continue;
    if (!capabilitiesOf(values.isolation).files) continue;
    const owner = ownerOf(values.group, path);
    for (const [index, { host }] of (values.volumes ?? []).entries()) {
      uses.push({ at: [...path, 'volumes', index], path: host, owner });
    }
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
