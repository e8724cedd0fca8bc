/** The document as far as it could be understood: what the cross checks work on. */
import type { Dependency } from '../../protocol/supervision.ts';
import type { Path } from '../languages/positions.ts';
import { isTable, kindOf, type Table } from '../languages/syntax.ts';
import { keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import {
  documentEntries,
  type Entries,
  type GroupValues,
  groupEntries,
  groupEnvEntries,
  type ParseContext,
  type ServiceValues,
  serviceEntries,
  type Values,
} from './config.ts';
import { type Defaults, inherit, inheritLog, readDefaults } from './defaults.ts';
import { healthCheckEntries, PROBE_KEYS } from './healthcheck.ts';
import { type ImageValues, imageEntries } from './images.ts';
import { type HomeLogValues, homeLogEntries, logEntries } from './log.ts';
import { dependencyEntries, toDependency } from './supervision.ts';
import { readTable } from './table.ts';
import {
  GROUP_MOUNT,
  type GroupMountValues,
  groupMountEntries,
  groupVolumeEntries,
  readGroupMount,
} from './volumes.ts';

type ServiceEntries = ReturnType<typeof serviceEntries>;

/** One `[[service]]` or `[[group]]`. */
export interface ParsedTable<Values> {
  readonly path: Path;
  /** As written, faulty keys included. */
  readonly table: Table;
  /** The keys that are valid; all of them, defaults included, when there is no problem. */
  readonly values: Partial<Values>;
  /** Keys that a service has from `[defaults]`, faulty ones included. */
  readonly inherited?: ReadonlySet<string>;
}

/** Whether a service has a key, be it faulty: from its own table or from `[defaults]`. */
export function hasKey({ table, inherited }: ParsedTable<unknown>, key: string): boolean {
  return Object.hasOwn(table, key) || inherited?.has(key) === true;
}

export interface ParsedConfig {
  /** Absolute path, or undefined where the document names none. */
  readonly kernel: string | undefined;
  readonly services: readonly ParsedTable<ServiceValues>[];
  readonly groups: readonly ParsedTable<GroupValues>[];
  /** The keys of `[logs]` that are valid. */
  readonly logs: Partial<HomeLogValues>;
  /** The keys of `[images]` that are valid. */
  readonly images: Partial<ImageValues>;
  /** Variables of `[defaults]`, which every service has. */
  readonly envs: Readonly<Record<string, string>>;
}

/** Reads every table of a document; what is wrong with single keys comes back in `problems`. */
export function readConfig(document: Table, context: ParseContext): { parsed: ParsedConfig; problems: PathProblem[] } {
  const top = readTable(documentEntries(context), document, []);
  const services = readDeclarations('[[service]]', ['service'], top.values.service ?? [], serviceEntries(context));
  const groups = readDeclarations('[[group]]', ['group'], top.values.group ?? [], groupEntries());
  const defaults = readDefaults(top.values.defaults ?? EMPTY, EMPTY, context);
  const completeServices = services.declarations.map((service) => readServiceTables(service, defaults));
  const completeGroups = groups.declarations.map(readGroupTables);
  const logs = readTable(homeLogEntries(), top.values.logs ?? EMPTY, ['logs']);
  const images = readTable(imageEntries(), top.values.images ?? EMPTY, ['images']);
  return {
    parsed: {
      kernel: top.values.kernel,
      services: completeServices.map(({ declaration }) => declaration),
      groups: completeGroups.map(({ declaration }) => declaration),
      logs: logs.values,
      images: images.values,
      envs: (defaults.own.values.envs as Record<string, string> | undefined) ?? {},
    },
    problems: [top, services, groups, defaults, logs, images, ...completeServices, ...completeGroups].flatMap(
      ({ problems }) => problems,
    ),
  };
}

/** Where a table is left out its keys have their defaults. */
const EMPTY: Table = Object.freeze(Object.create(null));

/** Reads the tables in the table of a service. One that is no table was a problem already, and is passed over. */
function readServiceTables({ path, table, values }: ParsedTable<Values<ServiceEntries>>, defaults: Defaults) {
  const { log, healthcheck, depends_on, group_volumes, ...others } = values;
  const logs = readTable(logEntries(), log ?? EMPTY, [...path, 'log']);
  const { values: more, inherited } = inherit({ table, values }, defaults);
  const health = healthcheck && readHealthCheck(healthcheck, [...path, 'healthcheck']);
  const dependencies = depends_on && readDependencies(depends_on, [...path, 'depends_on']);
  const mounts = group_volumes && readGroupMounts(group_volumes, [...path, 'group_volumes']);
  // Complete when there is no problem, see ParsedTable.values.
  const complete: Partial<ServiceValues> = {
    ...others,
    ...more,
    log: inheritLog({ table: log ?? EMPTY, values: logs.values }, defaults) as ServiceValues['log'],
    healthcheck: health?.values as ServiceValues['healthcheck'],
    ...(dependencies?.values ? { depends_on: dependencies.values } : {}),
    ...(mounts?.values ? { group_volumes: mounts.values } : {}),
  };
  const problems = [logs, health, dependencies, mounts].flatMap((reading) => reading?.problems ?? []);
  return { declaration: { path, table, values: complete, inherited }, problems };
}

/** All elements by their index, or none: cross checks find an element in the file by its index. */
function readDependencies(elements: readonly (string | Table)[], path: Path) {
  const readings = elements.map((element, index) =>
    typeof element === 'string'
      ? { values: toDependency(element), problems: [] }
      : readTable(dependencyEntries(), element, [...path, index]),
  );
  const problems = readings.flatMap((reading) => reading.problems);
  return { values: problems.length === 0 ? readings.map(({ values }) => values as Dependency) : null, problems };
}

/** As {@link readDependencies}. */
function readGroupMounts(elements: readonly (string | Table)[], path: Path) {
  const readings = elements.map((element, index) => {
    if (typeof element !== 'string') return readTable(groupMountEntries(), element, [...path, index]);
    const values = readGroupMount(element);
    return 'problem' in values
      ? { values: {}, problems: [valueProblem([...path, index], values.problem, GROUP_MOUNT)] }
      : { values, problems: [] };
  });
  const problems = readings.flatMap((reading) => reading.problems);
  return { values: problems.length === 0 ? readings.map(({ values }) => values as GroupMountValues) : null, problems };
}

/** Reads the tables in the table of a group. */
function readGroupTables({ path, table, values }: ParsedTable<Values<ReturnType<typeof groupEntries>>>) {
  const { env, volume, ...others } = values;
  const envs = readDeclarations('[[group.env]]', [...path, 'env'], env ?? [], groupEnvEntries());
  const volumes = readDeclarations('[[group.volume]]', [...path, 'volume'], volume ?? [], groupVolumeEntries());
  const complete: Partial<GroupValues> = { ...others, env: envs.declarations, volume: volumes.declarations };
  return { declaration: { path, table, values: complete }, problems: [...envs.problems, ...volumes.problems] };
}

function readHealthCheck(table: Table, path: Path) {
  const { values, problems } = readTable(healthCheckEntries(), table, path);
  const [first, ...others] = PROBE_KEYS.filter((key) => Object.hasOwn(table, key));
  const unclear = first
    ? others.map((key) => keyProblem([...path, key], `there is a check already: ${first}`, 'one of them'))
    : [valueProblem(path, 'does not say what to check', `one of ${PROBE_KEYS.join(', ')}`)];
  return { values, problems: [...problems, ...unclear] };
}

/** Far more than a host can run; without a limit the rules between tables could take minutes. */
export const MAX_TABLES = 1000;

function readDeclarations<E extends Entries>(header: string, at: Path, tables: readonly unknown[], entries: E) {
  const declarations = [];
  const problems: PathProblem[] = [];
  if (tables.length > MAX_TABLES)
    problems.push(valueProblem(at, `there are ${tables.length} of them`, `at most ${MAX_TABLES}`));
  for (const [index, table] of tables.slice(0, MAX_TABLES).entries()) {
    const path = [...at, index];
    if (isTable(table)) {
      const reading = readTable(entries, table, path);
      declarations.push({ path, table: reading.table, values: reading.values });
      for (const problem of reading.problems) problems.push(problem);
    } else {
      problems.push(valueProblem(path, `must be a table, not ${kindOf(table)}`, header));
    }
  }
  return { declarations, problems };
}
