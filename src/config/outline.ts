/** The document as far as it could be understood: what the cross checks work on. */
import type { Dependency } from '../protocol/supervision.ts';
import { type Fault, keyFault, type Path, valueFault } from './fault.ts';
import { healthCheckEntries, PROBE_KEYS } from './health-schema.ts';
import { type HomeLogValues, homeLogEntries, logEntries } from './log-schema.ts';
import {
  documentEntries,
  type Entries,
  type GroupValues,
  groupEntries,
  type ServiceValues,
  type Surroundings,
  serviceEntries,
  type Values,
} from './schema.ts';
import { dependencyEntries, toDependency } from './supervision-schema.ts';
import { readTable } from './table.ts';
import { isTable, kindOf, type Table } from './value.ts';

type ServiceEntries = ReturnType<typeof serviceEntries>;

/** One `[[service]]` or `[[group]]`. */
export interface Declaration<Values> {
  readonly path: Path;
  /** As written, faulty keys included. */
  readonly table: Table;
  /** The keys that are valid; all of them, defaults included, when there is no fault. */
  readonly values: Partial<Values>;
}

export interface Outline {
  /** Absolute path, or undefined where the document names none. */
  readonly kernel: string | undefined;
  readonly services: readonly Declaration<ServiceValues>[];
  readonly groups: readonly Declaration<GroupValues>[];
  /** The keys of `[logs]` that are valid. */
  readonly logs: Partial<HomeLogValues>;
}

/** Reads every table of a document; what is wrong with single keys comes back in `faults`. */
export function readOutline(document: Table, surroundings: Surroundings): { outline: Outline; faults: Fault[] } {
  const top = readTable(documentEntries(surroundings), document, []);
  const services = readDeclarations('service', top.values.service ?? [], serviceEntries(surroundings));
  const groups = readDeclarations('group', top.values.group ?? [], groupEntries());
  const withTables = services.declarations.map(readServiceTables);
  const logs = readTable(homeLogEntries(), top.values.logs ?? EMPTY, ['logs']);
  return {
    outline: {
      kernel: top.values.kernel,
      services: withTables.map(({ declaration }) => declaration),
      groups: groups.declarations,
      logs: logs.values,
    },
    faults: [
      ...top.faults,
      ...services.faults,
      ...groups.faults,
      ...logs.faults,
      ...withTables.flatMap(({ faults }) => faults),
    ],
  };
}

/** Where a table is left out its keys have their defaults. */
const EMPTY: Table = Object.freeze(Object.create(null));

/** Reads the tables in the table of a service. One that is no table was a fault already, and is passed over. */
function readServiceTables({ path, table, values }: Declaration<Values<ServiceEntries>>) {
  const { log, healthcheck, depends_on, ...others } = values;
  const logs = readTable(logEntries(), log ?? EMPTY, [...path, 'log']);
  const health = healthcheck && readHealthCheck(healthcheck, [...path, 'healthcheck']);
  const dependencies = depends_on && readDependencies(depends_on, [...path, 'depends_on']);
  // Complete when there is no fault, see Declaration.values.
  const complete: Partial<ServiceValues> = {
    ...others,
    log: logs.values as ServiceValues['log'],
    healthcheck: health?.values as ServiceValues['healthcheck'],
    ...(dependencies?.values ? { depends_on: dependencies.values } : {}),
  };
  const faults = [...logs.faults, ...(health?.faults ?? []), ...(dependencies?.faults ?? [])];
  return { declaration: { path, table, values: complete }, faults };
}

/** All elements by their index, or none: cross checks find an element in the file by its index. */
function readDependencies(elements: readonly (string | Table)[], path: Path) {
  const readings = elements.map((element, index) =>
    typeof element === 'string'
      ? { values: toDependency(element), faults: [] }
      : readTable(dependencyEntries(), element, [...path, index]),
  );
  const faults = readings.flatMap((reading) => reading.faults);
  return { values: faults.length === 0 ? readings.map(({ values }) => values as Dependency) : null, faults };
}

function readHealthCheck(table: Table, path: Path) {
  const { values, faults } = readTable(healthCheckEntries(), table, path);
  const [first, ...others] = PROBE_KEYS.filter((key) => Object.hasOwn(table, key));
  const unclear = first
    ? others.map((key) => keyFault([...path, key], `there is a check already: ${first}`, 'one of them'))
    : [valueFault(path, 'does not say what to check', `one of ${PROBE_KEYS.join(', ')}`)];
  return { values, faults: [...faults, ...unclear] };
}

function readDeclarations<E extends Entries>(key: string, tables: readonly unknown[], entries: E) {
  const declarations = [];
  const faults: Fault[] = [];
  for (const [index, table] of tables.entries()) {
    const path = [key, index];
    if (isTable(table)) {
      const reading = readTable(entries, table, path);
      declarations.push({ path, table, values: reading.values });
      for (const fault of reading.faults) faults.push(fault);
    } else {
      faults.push(valueFault(path, `must be a table, not ${kindOf(table)}`, `[[${key}]]`));
    }
  }
  return { declarations, faults };
}
