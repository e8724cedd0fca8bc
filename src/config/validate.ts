/** The rules that need more than one key: names, references, cycles, ports, isolation. */

import type { Port } from '../protocol/service.ts';
import { findCycles } from './cycles.ts';
import { type Fault, formatPath, keyFault, type Path, quote, valueFault } from './fault.ts';
import type { Declaration, Outline } from './outline.ts';
import type { ServiceValues } from './schema.ts';
import { closest } from './suggest.ts';
import type { Table } from './value.ts';

type ServiceDeclaration = Declaration<ServiceValues>;

/** Every fault between the keys of a document. Keys that are faulty themselves are passed over. Pure. */
export function crossCheck({ services, groups }: Outline): Fault[] {
  return [
    ...findRepeatedNames(services),
    ...findRepeatedNames(groups),
    ...services.flatMap((service) => findUnknownGroup(service, namesOf(groups))),
    ...findUnknownDependencies(services),
    ...findDependencyCycles(services),
    ...findUnmetConditions(services),
    ...services.flatMap(findPointlessKeys),
    ...findRepeatedPorts(services),
    ...services.flatMap(findIsolationFaults),
    ...services.flatMap(findRootFaults),
  ];
}

/** Names as written, faulty ones too: a reference to such a name is no second fault. */
function namesOf(declarations: readonly Declaration<unknown>[]): ReadonlySet<string> {
  return new Set(declarations.map(({ table }) => table.name).filter((name) => typeof name === 'string'));
}

function findRepeatedNames(declarations: readonly Declaration<{ readonly name: string }>[]): Fault[] {
  const owners = new Map<string, Path>();
  const faults: Fault[] = [];
  for (const { path, values } of declarations) {
    if (values.name === undefined) continue;
    const owner = owners.get(values.name);
    if (owner === undefined) owners.set(values.name, path);
    else
      faults.push(valueFault([...path, 'name'], `${quote(values.name)} is the name of ${formatPath(owner)} already`));
  }
  return faults;
}

function findUnknownGroup({ path, values }: ServiceDeclaration, groups: ReadonlySet<string>): Fault[] {
  if (typeof values.group !== 'string' || groups.has(values.group)) return [];
  return [unknownName([...path, 'group'], 'group', values.group, groups)];
}

function findUnknownDependencies(services: readonly ServiceDeclaration[]): Fault[] {
  const names = namesOf(services);
  return eachDependency(services).flatMap(({ namePath, from, to, isRepeated }) => {
    if (to === from) return [valueFault(namePath, `${quote(to)} cannot depend on itself`)];
    if (isRepeated) return [valueFault(namePath, `${quote(to)} is named twice for the same condition`)];
    return names.has(to) ? [] : [unknownName(namePath, 'service', to, names)];
  });
}

function unknownName(path: Path, kind: string, name: string, known: ReadonlySet<string>): Fault {
  const meant = closest(name, known);
  const hint = meant === null ? '' : `; did you mean ${quote(meant)}?`;
  return valueFault(path, `there is no ${kind} ${quote(name)}${hint}`);
}

function findDependencyCycles(services: readonly ServiceDeclaration[]): Fault[] {
  const edges = new Map<string, string[]>();
  const paths = new Map<string, Path>();
  for (const { values } of services) {
    if (values.name !== undefined) edges.set(values.name, []);
  }
  for (const { namePath, from, to } of eachDependency(services)) {
    // One that is named for two conditions closes a cycle once.
    if (from === undefined || from === to || paths.has(`${from} ${to}`)) continue;
    edges.get(from)?.push(to);
    paths.set(`${from} ${to}`, namePath);
  }
  return findCycles(edges).map((cycle) => {
    const closing = paths.get(cycle.slice(-2).join(' ')) ?? [];
    return valueFault(closing, `${cycle.join(' -> ')} is a cycle: none of them could start first`);
  });
}

/** Conditions that can never come true. */
function findUnmetConditions(services: readonly ServiceDeclaration[]): Fault[] {
  const byName = new Map(services.map((service) => [service.values.name, service]));
  return eachDependency(services).flatMap(({ path, from, to, condition }) => {
    const { table, values } = byName.get(to) ?? {};
    if (from === to || !table || !values) return [];
    if (condition === 'healthy' && !Object.hasOwn(table, 'healthcheck')) {
      const message = `${quote(to)} has no healthcheck, so it never is healthy`;
      return [valueFault([...path, 'condition'], message, `another condition, or a healthcheck of ${quote(to)}`)];
    }
    if (condition === 'completed' && (values.restart === 'always' || values.restart === 'unless-stopped')) {
      const message = `${quote(to)} is restarted whenever it ends, so it never is completed`;
      return [valueFault([...path, 'condition'], message, `another condition, or another restart of ${quote(to)}`)];
    }
    return [];
  });
}

/** Keys that do nothing without another. */
function findPointlessKeys({ path, table, values }: ServiceDeclaration): Fault[] {
  const faults: Fault[] = [];
  if (values.on_unhealthy === 'restart' && !Object.hasOwn(table, 'healthcheck')) {
    faults.push(keyFault([...path, 'on_unhealthy'], 'has no effect without a healthcheck', 'a healthcheck besides'));
  }
  if (!isNeverRestarted(table, values)) return faults;
  for (const key of ['max_restarts', 'restart_reset'] as const) {
    if (!Object.hasOwn(table, key) || values[key] === undefined) continue;
    faults.push(keyFault([...path, key], 'has no effect: the service is never restarted', 'a restart policy besides'));
  }
  return faults;
}

/** Keys that are faulty may have been meant to restart it. */
function isNeverRestarted(table: Table, values: ServiceDeclaration['values']): boolean {
  return values.restart === 'no' && values.on_unhealthy === 'none' && !Object.hasOwn(table, 'max_memory');
}

/**
 * Every element of every valid `depends_on`; `namePath` is where it names the service, which in a table is not where it
 * stands itself.
 */
function eachDependency(services: readonly ServiceDeclaration[]) {
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

/** Guests of one group share its address; those without group share 127.0.0.1. */
function findRepeatedPorts(services: readonly ServiceDeclaration[]): Fault[] {
  const owners = new Map<string, Path>();
  const faults: Fault[] = [];
  for (const service of services) {
    if (service.values.group === undefined || service.values.isolation !== 'vm') continue;
    for (const { path, port } of eachPort(service)) {
      const address = `${port.host}/${port.protocol} of ${service.values.group ?? '127.0.0.1'}`;
      const owner = owners.get(address);
      if (owner === undefined) owners.set(address, path);
      else faults.push(valueFault(path, `host port ${formatPort(port)} is taken by ${formatPath(owner)} already`));
    }
  }
  return faults;
}

function formatPort({ host, protocol }: Port): string {
  return protocol === 'tcp' ? String(host) : `${host}/${protocol}`;
}

function eachPort({ path, values }: ServiceDeclaration): { path: Path; port: Port }[] {
  const ports = (values.ports ?? []).map((port, index) => ({ path: [...path, 'ports', index], port }));
  return values.port === undefined ? ports : [{ path: [...path, 'port'], port: values.port }, ...ports];
}

function findIsolationFaults({ path, table, values }: ServiceDeclaration): Fault[] {
  if (values.isolation !== 'none') return [];
  const ownRoot = 'a plain process (isolation "none") runs on the root of the host';
  const ownPorts = 'a plain process (isolation "none") binds its own ports; nothing is forwarded to it';
  const ownFiles = 'a plain process (isolation "none") sees the files of the host where they are';
  const reasons = {
    rootfs: ownRoot,
    base: ownRoot,
    port: ownPorts,
    ports: ownPorts,
    volumes: ownFiles,
    group_volumes: ownFiles,
    secrets: ownFiles,
    disk: 'a plain process (isolation "none") writes to the file systems of the host',
  };
  return Object.entries(reasons)
    .filter(([key]) => Object.hasOwn(table, key) && !(key === 'disk' && values.disk === null))
    .map(([key, reason]) => keyFault([...path, key], reason, `isolation "vm", or no ${key}`));
}

/** A root comes from one place, and only an image says what to run. */
function findRootFaults({ path, table }: ServiceDeclaration): Fault[] {
  const [base, rootfs, command] = ['base', 'rootfs', 'command'].map((key) => Object.hasOwn(table, key));
  const faults: Fault[] = [];
  if (base && rootfs) faults.push(keyFault([...path, 'rootfs'], 'the service has a base already', 'one of them'));
  if (!base && !command) {
    faults.push(
      valueFault([...path, 'command'], 'is missing', 'a program such as "/bin/sh", or a base that names one'),
    );
  }
  return faults;
}
