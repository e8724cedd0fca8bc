/** The valid part of the document, with `[defaults]` applied to its services. The rules work on it. */
import { capabilitiesOf, type Isolation } from '../../protocol/isolation.ts';
import { DOCUMENT_KEYS, type DocumentValues, type ParsedGroup, type ParsedService, SERVICE_KEYS } from '../keys.ts';
import type { Path, Table } from '../languages/document.ts';
import type { PathProblem } from '../problems.ts';
import { TableReader } from './table.ts';
import type { AnyKey, ParseContext, ParsedTable } from './types.ts';

export interface ParsedConfig {
  readonly document: ParsedTable<DocumentValues>;
  /** Services, including the keys that they inherit from `[defaults]`. */
  readonly services: readonly ParsedService[];
  readonly groups: readonly ParsedGroup[];
  /** See {@link TableReader.written}. */
  readonly written: ReadonlyMap<string, Path>;
}

/** Reads every table of a document; problems of single keys are returned in `problems`. */
export function readConfig(
  written: Table,
  context: ParseContext,
): { parsed: ParsedConfig; problems: readonly PathProblem[] } {
  const reader = new TableReader(context);
  const document = reader.table(DOCUMENT_KEYS, written, []);
  const { defaults, service = [], group = [] } = document.values;
  return {
    parsed: {
      document,
      services: defaults === undefined ? service : service.map((one) => inherit(one, defaults)),
      groups: group,
      written: reader.written,
    },
    problems: reader.problems,
  };
}

/**
 * Adds the defaults of keys that the service does not set itself, invalid ones included. A default that could only be
 * wrong for the service (a disk for a plain process, a restart limit for a service that is not restarted) is left out.
 * So are variables, which are merged one by one.
 */
function inherit(service: ParsedService, defaults: ParsedTable<Record<string, unknown>>): ParsedService {
  const own: Readonly<Record<string, unknown>> = service.values;
  const has = (key: string) => Object.hasOwn(service.table, key);
  const effective = (key: string) => (has(key) ? own[key] : (defaults.values[key] ?? own[key]));
  const capabilities = capabilitiesOf((effective('isolation') as Isolation | undefined) ?? 'vm');
  const hasEffect = {
    healthcheck: has('healthcheck'),
    restarts:
      effective('restart') !== 'no' ||
      (has('healthcheck') && effective('on_unhealthy') === 'restart') ||
      effective('max_memory') !== undefined,
  };
  /** A root file system can have only one source. */
  const rivals: Readonly<Record<string, string>> = { rootfs: 'image', image: 'rootfs' };
  const inherited = Object.keys(defaults.table).filter((name) => {
    const { needs, onlyWith } = (SERVICE_KEYS as Readonly<Record<string, AnyKey>>)[name] ?? {};
    if (has(name) || name === 'envs' || name === 'log' || has(rivals[name] ?? '')) return false;
    return (needs === undefined || capabilities[needs]) && (onlyWith === undefined || hasEffect[onlyWith]);
  });
  return {
    ...service,
    values: { ...service.values, ...pick(defaults.values, inherited), ...inheritLog(service, defaults) },
    inherited: new Set(inherited),
  };
}

function inheritLog({ values: { log } }: ParsedService, defaults: ParsedTable<Record<string, unknown>>) {
  const base = defaults.values.log as typeof log;
  if (log === undefined || base === undefined) return {};
  const names = Object.keys(base.table).filter((name) => !Object.hasOwn(log.table, name));
  return { log: { ...log, values: { ...log.values, ...pick(base.values, names) } } };
}

function pick(values: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]));
}

/**
 * Moves problems to the keys as written: a problem of an inherited key to `[defaults]`, once, and a problem of an
 * aliased key to its alias.
 */
export function attributeToKeys(problems: readonly PathProblem[], { services, written }: ParsedConfig): PathProblem[] {
  const byIndex = new Map(services.map(({ path, inherited }) => [path[1], inherited]));
  const moved = new Set<string>();
  return problems.flatMap((problem) => {
    const [first, index, key, ...rest] = problem.path;
    const isInherited = first === 'service' && key !== undefined && byIndex.get(index!)?.has(String(key));
    const path: Path = isInherited ? ['defaults', key, ...rest] : problem.path;
    const id = JSON.stringify([path, problem.message]);
    if (isInherited && moved.has(id)) return [];
    if (isInherited) moved.add(id);
    return [{ ...problem, path: written.get(JSON.stringify(path)) ?? path }];
  });
}
