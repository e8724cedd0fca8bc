/** Rules that need more than one key: names, references, cycles, ports, isolation. */
import { type Capabilities, capabilitiesOf, labelOf } from '../../protocol/isolation.ts';
import { HEALTH_KEYS, type ParsedService, SERVICE_KEYS } from '../keys.ts';
import type { Path } from '../languages/positions.ts';
import { quote } from '../languages/syntax.ts';
import { keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import type { ParsedConfig } from '../schema/parsed-config.ts';
import { MAX_TABLES } from '../schema/table.ts';
import { hasKey, type KeyTable } from '../schema/types.ts';
import { findCycles, findDeepChains } from './cycles.ts';
import { findRepeatedNames, MAX_SUGGESTIONS, namesOf, unknownName } from './names.ts';
import { checkPorts } from './ports.ts';

const KEYS: KeyTable = SERVICE_KEYS;

/** Problems between the keys of a document. Keys that are faulty themselves are passed over. Pure. */
export function checkRules({ services, groups }: ParsedConfig): PathProblem[] {
  return [
    ...findRepeatedNames(services),
    ...findRepeatedNames(groups),
    ...findUnknownGroups(services, namesOf(groups)),
    ...findTooMany(services),
    ...findUnknownDependencies(services),
    ...findDependencyCycles(services),
    ...findUnmetConditions(services),
    ...services.flatMap(findPointlessKeys),
    ...checkPorts(services),
    ...findLongChains(services),
    ...services.flatMap(findIsolationProblems),
    ...services.flatMap(findRootProblems),
    ...services.flatMap(findUnclearProbes),
  ];
}

function findUnknownGroups(services: readonly ParsedService[], groups: ReadonlySet<string>): PathProblem[] {
  return services.flatMap(({ path, values }) =>
    typeof values.group !== 'string' || groups.has(values.group)
      ? []
      : [unknownName([...path, 'group'], 'group', values.group, groups)],
  );
}

/** More services than a config may have, replicas counted. */
function findTooMany(services: readonly ParsedService[]): PathProblem[] {
  let total = 0;
  for (const { path, values } of services) {
    total += values.replicas ?? 1;
    if (total > MAX_TABLES)
      return [
        valueProblem([...path, 'replicas'], `brings the number of services to ${total}`, `at most ${MAX_TABLES}`),
      ];
  }
  return [];
}

function findUnknownDependencies(services: readonly ParsedService[]): PathProblem[] {
  const names = namesOf(services);
  let unknown = 0;
  return eachDependency(services).flatMap(({ namePath, from, to, isRepeated }) => {
    if (to === from) return [valueProblem(namePath, `${quote(to)} cannot depend on itself`)];
    if (isRepeated) return [valueProblem(namePath, `${quote(to)} is named twice for the same condition`)];
    if (names.has(to)) return [];
    unknown += 1;
    return [unknownName(namePath, 'service', to, unknown > MAX_SUGGESTIONS ? new Set() : names)];
  });
}

/** Dependencies of each service by its name, and the path of each. */
function dependencyGraph(services: readonly ParsedService[]) {
  const edges = new Map<string, string[]>();
  const paths = new Map<string, Path>();
  for (const { values } of services) {
    if (values.name !== undefined) edges.set(values.name, []);
  }
  for (const { namePath, from, to } of eachDependency(services)) {
    // A dependency that is named for two conditions closes a cycle once.
    if (from === undefined || from === to || paths.has(`${from} ${to}`)) continue;
    edges.get(from)?.push(to);
    paths.set(`${from} ${to}`, namePath);
  }
  return { edges, paths };
}

function findDependencyCycles(services: readonly ParsedService[]): PathProblem[] {
  const { edges, paths } = dependencyGraph(services);
  return findCycles(edges).map((cycle) => {
    const closing = paths.get(cycle.slice(-2).join(' ')) ?? [];
    return valueProblem(closing, `${cycle.join(' -> ')} is a cycle: none of them can start first`);
  });
}

/** Most services in a chain of dependencies, each of which waits for the one before; as in the original. */
const MAX_CHAIN = 32;

function findLongChains(services: readonly ParsedService[]): PathProblem[] {
  const { edges, paths } = dependencyGraph(services);
  return findDeepChains(edges, MAX_CHAIN + 1).map((chain) => {
    const at = paths.get(chain.slice(0, 2).join(' ')) ?? [];
    const text = `${chain.slice(0, 3).join(' -> ')} -> … -> ${chain.at(-1)}`;
    return valueProblem(
      at,
      `${text} is a chain of ${chain.length} services; at most ${MAX_CHAIN} may wait for each other`,
    );
  });
}

/** Conditions that can never be met. */
function findUnmetConditions(services: readonly ParsedService[]): PathProblem[] {
  const byName = new Map(services.map((service) => [service.values.name, service]));
  return eachDependency(services).flatMap(({ path, from, to, condition }) => {
    const { table, values } = byName.get(to) ?? {};
    if (from === to || !table || !values) return [];
    if (condition === 'healthy' && !Object.hasOwn(table, 'healthcheck')) {
      const message = `${quote(to)} has no healthcheck, so it is never healthy`;
      return [valueProblem([...path, 'condition'], message, `another condition, or a healthcheck of ${quote(to)}`)];
    }
    if (condition === 'completed' && (values.restart === 'always' || values.restart === 'unless-stopped')) {
      const message = `${quote(to)} is restarted whenever it ends, so it is never completed`;
      return [
        valueProblem([...path, 'condition'], message, `another condition, or another restart policy of ${quote(to)}`),
      ];
    }
    return [];
  });
}

/** Keys that have no effect without another. */
function findPointlessKeys(service: ParsedService): PathProblem[] {
  const { path, table } = service;
  const values: Readonly<Record<string, unknown>> = service.values;
  return Object.entries(KEYS).flatMap(([name, { onlyWith }]) => {
    const isGiven = Object.hasOwn(table, name) && values[name] !== undefined && values[name] !== 'none';
    if (!isGiven || onlyWith === undefined) return [];
    const at = [...path, name];
    if (onlyWith === 'restarts') {
      if (!isNeverRestarted(service)) return [];
      return [keyProblem(at, 'has no effect: the service is never restarted', 'a restart policy as well')];
    }
    if (Object.hasOwn(table, 'healthcheck')) return [];
    return [keyProblem(at, 'has no effect without a healthcheck', 'a healthcheck as well')];
  });
}

/** False where a key is faulty: it may have been meant to restart the service. */
function isNeverRestarted(service: ParsedService): boolean {
  const { restart, on_unhealthy } = service.values;
  return restart === 'no' && on_unhealthy === 'none' && !hasKey(service, 'max_memory');
}

/** Elements of valid `depends_on`; `namePath` leads to the name of the service, which in a table is a key of its own. */
function eachDependency(services: readonly ParsedService[]) {
  return services.flatMap(({ path: owner, table, values }) => {
    const seen = new Set<string>();
    return (values.depends_on ?? []).map(({ service: to, condition }, index) => {
      const isRepeated = seen.has(`${condition} ${to}`);
      seen.add(`${condition} ${to}`);
      const path = [...owner, 'depends_on', index];
      const written = (table.depends_on as readonly unknown[])[index];
      const namePath = typeof written === 'string' ? path : [...path, 'service'];
      return { path, namePath, from: values.name, to, condition, isRepeated };
    });
  });
}

/** Behaviour of a service without the capability, behind the name of its isolation. */
const WITHOUT_CAPABILITY: Readonly<Partial<Record<keyof Capabilities, string>>> = {
  images: 'runs on the root of the host',
  ports: 'binds its own ports; nothing is forwarded to it',
  files: 'sees the files of the host where they are',
  disk: 'writes to the file systems of the host',
};

function findIsolationProblems({ path, table, values }: ParsedService): PathProblem[] {
  const { isolation } = values;
  if (isolation === undefined) return [];
  return Object.entries(KEYS).flatMap(([name, { needs }]) => {
    const isGiven = Object.hasOwn(table, name) && !(name === 'disk' && values.disk === null);
    if (!isGiven || needs === undefined || capabilitiesOf(isolation)[needs]) return [];
    const reason = `${labelOf(isolation)} (isolation "${isolation}") ${WITHOUT_CAPABILITY[needs]}`;
    return [keyProblem([...path, name], reason, 'isolation "vm", or leave the key out')];
  });
}

function hasImages({ values }: ParsedService): boolean {
  return values.isolation === undefined || capabilitiesOf(values.isolation).images;
}

/** A root filesystem has one source, and only an image has a command of its own. */
function findRootProblems(service: ParsedService): PathProblem[] {
  const { path } = service;
  const [image, rootfs, command] = ['image', 'rootfs', 'command'].map((key) => hasKey(service, key));
  const problems: PathProblem[] = [];
  if (image && rootfs && hasImages(service)) {
    problems.push(keyProblem([...path, 'rootfs'], 'the service already has an image', 'one of them'));
  }
  if (!image && !command) {
    problems.push(
      valueProblem([...path, 'command'], 'is missing', 'a program such as "/bin/sh", or an image that names one'),
    );
  }
  return problems;
}

/** Keys of a health check, one of which names the probe. */
const PROBE_KEYS = Object.entries<KeyTable[string]>(HEALTH_KEYS)
  .filter(([, { field }]) => field === 'probe')
  .map(([name]) => name);

function findUnclearProbes({ values: { healthcheck } }: ParsedService): PathProblem[] {
  if (healthcheck === undefined) return [];
  const [first, ...others] = PROBE_KEYS.filter((key) => Object.hasOwn(healthcheck.table, key));
  return first === undefined
    ? [valueProblem(healthcheck.path, 'does not name a probe', `one of ${PROBE_KEYS.join(', ')}`)]
    : others.map((key) => keyProblem([...healthcheck.path, key], `there is already a probe: ${first}`, 'one of them'));
}
