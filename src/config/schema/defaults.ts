/** `[defaults]`: what holds for every service that does not say otherwise. */
import { capabilitiesOf, type Isolation } from '../../protocol/isolation.ts';
import type { Path } from '../languages/positions.ts';
import type { Table } from '../languages/syntax.ts';
import type { PathProblem } from '../problems.ts';
import { type ParseContext, type ServiceValues, serviceEntries, type Values } from './config.ts';
import { logEntries } from './log.ts';
import type { ParsedTable } from './outline.ts';
import { readTable } from './table.ts';

/** Keys that make sense for many services: not what a service is, and what two of them could not have both. */
const KEYS = [
  'group',
  'isolation',
  'rootfs',
  'image',
  'envs',
  'env_file',
  'workdir',
  'cpus',
  'ram',
  'stop_timeout',
  'stop_signal',
  'restart',
  'max_restarts',
  'restart_reset',
  'max_memory',
  'on_unhealthy',
  'disk',
  'user',
  'open_files',
  'cpu_shares',
  'log',
] as const;

type DefaultEntries = Pick<ReturnType<typeof serviceEntries>, (typeof KEYS)[number]>;

/** Keys of `[defaults]`. */
export function defaultEntries(context: ParseContext): DefaultEntries {
  const entries = serviceEntries(context);
  return Object.fromEntries(KEYS.map((key) => [key, entries[key]])) as unknown as DefaultEntries;
}

/** Some keys of a table: as written, and those that are valid. */
interface Layer {
  readonly table: Table;
  readonly values: Readonly<Record<string, unknown>>;
}

/** `[defaults]`, read. */
export interface Defaults {
  readonly own: Layer;
  readonly log: Layer;
  readonly problems: readonly PathProblem[];
}

/** Reads the table by itself, so that what is wrong in it is reported once. */
export function readDefaults(table: Table, empty: Table, context: ParseContext): Defaults {
  const own = readTable(defaultEntries(context), table, ['defaults']);
  const logTable = (own.values.log as Table | undefined) ?? empty;
  const log = readTable(logEntries(), logTable, ['defaults', 'log']);
  return {
    own: { table: own.table, values: own.values },
    log: { table: logTable, values: log.values },
    problems: [...own.problems, ...log.problems],
  };
}

/**
 * What a service has besides what it says: the other values, and the keys, faulty ones included. A default that could
 * only be wrong for it (a disk of a plain process, a limit of restarts where there are none) is none for this service; variables are
 * left out, for they are merged one by one.
 */
export function inherit(
  service: Layer,
  { own }: Defaults,
): { values: Partial<Values<DefaultEntries>>; inherited: ReadonlySet<string> } {
  const has = (key: string) => Object.hasOwn(service.table, key);
  const effective = (key: string) => (has(key) ? service.values[key] : (own.values[key] ?? service.values[key]));
  const pointless = new Set(['envs', 'log']);
  const { images, disk } = capabilitiesOf((effective('isolation') as Isolation | undefined) ?? 'vm');
  if (!images) for (const key of ['rootfs', 'image']) pointless.add(key);
  if (!disk) pointless.add('disk');
  if (has('image')) pointless.add('rootfs');
  if (has('rootfs')) pointless.add('image');
  if (!has('healthcheck')) pointless.add('on_unhealthy');
  const isRestarted =
    effective('restart') !== 'no' ||
    (has('healthcheck') && effective('on_unhealthy') === 'restart') ||
    effective('max_memory') !== undefined;
  if (!isRestarted) for (const key of ['max_restarts', 'restart_reset']) pointless.add(key);
  const keys = Object.keys(own.table).filter((key) => !has(key) && !pointless.has(key));
  return { values: pick(own.values, keys), inherited: new Set(keys) };
}

/** The log settings of a service: its own keys over the defaults'. */
export function inheritLog(log: Layer, { log: base }: Defaults): Readonly<Record<string, unknown>> {
  const keys = Object.keys(base.table).filter((key) => !Object.hasOwn(log.table, key));
  return { ...log.values, ...pick(base.values, keys) };
}

function pick(values: Layer['values'], keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => values[key] !== undefined).map((key) => [key, values[key]]));
}

/** Faults of what services have from `[defaults]`, at their place there, each once. */
export function attributeToDefaults(
  problems: readonly PathProblem[],
  services: readonly ParsedTable<ServiceValues>[],
): PathProblem[] {
  const byIndex = new Map(services.map(({ path, inherited }) => [path[1], inherited]));
  const moved = new Set<string>();
  return problems.flatMap((problem) => {
    const [first, index, key, ...rest] = problem.path;
    if (first !== 'service' || key === undefined || !byIndex.get(index!)?.has(String(key))) return [problem];
    const path: Path = ['defaults', key, ...rest];
    const id = JSON.stringify([path, problem.message]);
    if (moved.has(id)) return [];
    moved.add(id);
    return [{ ...problem, path }];
  });
}
