/** Rules that involve more than one key. Long because each rule is short and they are easier to read as a list. */

import { didYouMean } from '../../lib/closest.ts';
import { type Capabilities, capabilitiesOf, labelOf } from '../../protocol/isolation.ts';
import { HEALTH_KEYS, type ParsedGroup, type ParsedService, SERVICE_KEYS } from '../keys.ts';
import { type Path, quote } from '../languages/document.ts';
import { formatPath, keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import type { ParsedConfig } from '../schema/parsed-config.ts';
import { type PortRange, portOf, replicaNames } from '../schema/ports.ts';
import { MAX_TABLES } from '../schema/table.ts';
import { hasKey, type KeyTable, type ParsedTable } from '../schema/types.ts';
import { findCycles, findDeepChains } from './cycles.ts';
import { PortOwners } from './port-owners.ts';

const KEYS: KeyTable = SERVICE_KEYS;

/** Problems between the keys of a document. Keys that are invalid themselves are ignored. Pure. */
export function checkRules({ services, groups }: ParsedConfig): PathProblem[] {
  return [
    ...findRepeatedNames(services),
    ...findRepeatedNames(groups),
    ...findUnknownGroups(services, namesOf(groups)),
    ...findTooMany(services),
    ...findUnknownDependencies(services),
    ...findCyclesAndChains(services),
    ...findUnmetConditions(services),
    ...services.flatMap(findPointlessKeys),
    ...services.flatMap(findMiscounts),
    ...findRepeatedPorts(services, groups),
    ...services.flatMap(findIsolationProblems),
    ...services.flatMap(findRootProblems),
    ...services.flatMap(findUnclearProbes),
  ];
}

/** Longest name, as in `schema/values.ts`. */
const MAX_NAME_CHARS = 63;
/** Limit on suggestions: computing them takes time, and nobody reads more of them. */
export const MAX_SUGGESTIONS = 100;

/** Names as written, invalid ones included: a reference to an invalid name is not a second problem. */
function namesOf(tables: readonly ParsedTable<unknown>[]): ReadonlySet<string> {
  return new Set(tables.map(({ table }) => table.name).filter((name) => typeof name === 'string'));
}

type Named = { readonly name: string; readonly replicas?: number | undefined };

/** Names that another table already has. Names of replicas count, because they may collide with another service. */
export function findRepeatedNames(tables: readonly ParsedTable<Named>[]): PathProblem[] {
  const owners = new Map<string, Path>();
  return tables.flatMap(({ path, values: { name, replicas } }) => {
    if (name === undefined) return [];
    // The name of a service with replicas refers to all of them.
    const names = [...new Set([name, ...replicaNames({ name, replicas })])];
    const taken = names.find((candidate) => owners.has(candidate));
    for (const candidate of names) if (!owners.has(candidate)) owners.set(candidate, path);
    const at = [...path, 'name'];
    if (taken !== undefined) {
      return [valueProblem(at, `${quote(taken)} is already the name of ${formatPath(owners.get(taken)!)}`)];
    }
    const last = names.at(-1)!;
    if (replicas === undefined || last.length <= MAX_NAME_CHARS) return [];
    const limit = `names have at most ${MAX_NAME_CHARS} characters`;
    return [valueProblem(at, `is too long: a replica would be ${quote(last)}, and ${limit}`)];
  });
}

function unknownName(path: Path, kind: string, name: string, known: ReadonlySet<string>): PathProblem {
  return valueProblem(path, `there is no ${kind} ${quote(name)}${didYouMean(name, known)}`);
}

function findUnknownGroups(services: readonly ParsedService[], groups: ReadonlySet<string>): PathProblem[] {
  return services.flatMap(({ path, values }) =>
    typeof values.group !== 'string' || groups.has(values.group)
      ? []
      : [unknownName([...path, 'group'], 'group', values.group, groups)],
  );
}

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

function dependencyGraph(services: readonly ParsedService[]) {
  const edges = new Map<string, string[]>();
  const paths = new Map<string, Path>();
  for (const { values } of services) {
    if (values.name !== undefined) edges.set(values.name, []);
  }
  for (const { namePath, from, to } of eachDependency(services)) {
    // A dependency with two conditions closes a cycle only once.
    if (from === undefined || from === to || paths.has(`${from} ${to}`)) continue;
    edges.get(from)?.push(to);
    paths.set(`${from} ${to}`, namePath);
  }
  return { edges, paths };
}

/**
 * Maximum number of services in a chain of dependencies, in which each waits for the one before; same as in the Rust
 * version.
 */
const MAX_CHAIN = 32;

function findCyclesAndChains(services: readonly ParsedService[]): PathProblem[] {
  const { edges, paths } = dependencyGraph(services);
  const cycles = findCycles(edges).map((cycle) => {
    const closing = paths.get(cycle.slice(-2).join(' ')) ?? [];
    return valueProblem(closing, `${cycle.join(' -> ')} is a cycle: none of them can start first`);
  });
  if (cycles.length > 0) return cycles;
  return findDeepChains(edges, MAX_CHAIN + 1).map((chain) => {
    const at = paths.get(chain.slice(0, 2).join(' ')) ?? [];
    const text = `${chain.slice(0, 3).join(' -> ')} -> … -> ${chain.at(-1)}`;
    const limit = `at most ${MAX_CHAIN} may wait for each other`;
    return valueProblem(at, `${text} is a chain of ${chain.length} services; ${limit}`);
  });
}

/** Conditions that can never be met. */
function findUnmetConditions(services: readonly ParsedService[]): PathProblem[] {
  const byName = new Map(services.map((service) => [service.values.name, service]));
  return eachDependency(services).flatMap(({ path, from, to, condition }) => {
    const { table, values } = byName.get(to) ?? {};
    if (from === to || !table || !values) return [];
    const unmet = (reason: string, remedy: string) => [
      valueProblem([...path, 'condition'], `${quote(to)} ${reason}`, `another condition, or ${remedy} of ${quote(to)}`),
    ];
    if (condition === 'healthy' && !Object.hasOwn(table, 'healthcheck'))
      return unmet('has no healthcheck, so it is never healthy', 'a healthcheck');
    if (condition === 'completed' && (values.restart === 'always' || values.restart === 'unless-stopped'))
      return unmet('is restarted whenever it ends, so it is never completed', 'another restart policy');
    return [];
  });
}

/** Keys that have no effect without another key. */
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

/**
 * True if the service is certainly never restarted. False if a key is invalid, because it may have been meant to
 * restart the service.
 */
function isNeverRestarted(service: ParsedService): boolean {
  const { restart, on_unhealthy } = service.values;
  return restart === 'no' && on_unhealthy === 'none' && !hasKey(service, 'max_memory');
}

/**
 * Yields the valid elements of `depends_on`; `namePath` leads to the service name, which is a separate key in a table.
 */
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

/** Description of a service without the capability, for messages that begin with the name of the isolation. */
const WITHOUT_CAPABILITY: Readonly<Partial<Record<keyof Capabilities, string>>> = {
  images: 'runs in the root file system of the host',
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

/** Problems of the root file system: it must have one source, and only an image brings a default command. */
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

/** Checks that each replica has its own port. */
function findMiscounts(service: ParsedService): PathProblem[] {
  const { table, values } = service;
  // An invalid number of replicas has already been reported.
  if (Object.hasOwn(table, 'replicas') && values.replicas === undefined) return [];
  const count = values.replicas ?? 1;
  return eachRange(service).flatMap(({ path, range }) => {
    if (range.count === count) return [];
    const ports = range.count === 1 ? '1 host port' : `${range.count} host ports`;
    const services = count === 1 ? 'one service' : `${count} replicas`;
    return [valueProblem(path, `has ${ports} for ${services}`, suggestion(range, count))];
  });
}

function suggestion({ address, first, count: ports, guest, protocol }: PortRange, count: number): string {
  const prefix = address === undefined ? '' : `${address}:`;
  const suffix = protocol === 'udp' ? '/udp' : '';
  if (count === 1) return `"${prefix}${first}:${guest}${suffix}", or replicas = ${ports}`;
  return `a range of ${count} such as "${prefix}${first}-${first + count - 1}:${guest}${suffix}"`;
}

/**
 * Host ports that are forwarded twice. Guests of a group share its address, of which the name of the group stands for one that
 * is not known yet; those without a group share 127.0.0.1.
 */
function findRepeatedPorts(services: readonly ParsedService[], groups: readonly ParsedGroup[]): PathProblem[] {
  const addresses = new Map(groups.map(({ values: { name, address } }) => [name, address]));
  const owners = new PortOwners<Path>();
  const problems: PathProblem[] = [];
  for (const service of services) {
    const { group, isolation, replicas = 1 } = service.values;
    if (group === undefined || isolation === undefined || !capabilitiesOf(isolation).ports) continue;
    for (const { path, range } of eachRange(service)) {
      if (range.count !== replicas) continue;
      const ports = Array.from({ length: range.count }, (_, replica) => portOf(range, replica));
      const address = group === null ? '127.0.0.1' : (addresses.get(group) ?? `group ${group}`);
      const bound = ports.map((port) => ({ ...port, address: port.address ?? address }));
      const taken = bound.find((port) => owners.find(port) !== null);
      const owner = taken && owners.find(taken)!;
      for (const port of bound) owners.add(port, path);
      if (taken === undefined || owner === undefined) continue;
      const name = range.protocol === 'tcp' ? String(taken.host) : `${taken.host}/${range.protocol}`;
      problems.push(valueProblem(path, `host port ${name} is already taken by ${formatPath(owner)}`));
    }
  }
  return problems;
}

function eachRange({ path, values }: ParsedService): { path: Path; range: PortRange }[] {
  const ports = (values.ports ?? []).map((range, index) => ({ path: [...path, 'ports', index], range }));
  return values.port === undefined ? ports : [{ path: [...path, 'port'], range: values.port }, ...ports];
}
