/** Reading one table of the document against its schema. */
import * as v from 'valibot';
import type { Path } from '../languages/positions.ts';
import { isTable, type Table } from '../languages/syntax.ts';
import { closest, keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import type { Entries, Values } from './config.ts';

/** What became of a table: the keys that are valid, defaults filled in, and the problems of the others. */
export interface TableReading<E extends Entries> {
  /** As written, with aliases replaced by the keys that they stand for. */
  readonly table: Table;
  readonly values: Partial<Values<E>>;
  readonly problems: readonly PathProblem[];
}

/**
 * Reads each key by itself rather than the table as a whole: one faulty key then leaves the others for the cross
 * checks, and all unknown keys are found where valibot's strictObject stops at the first.
 */
export function readTable<E extends Entries>(entries: E, written: Table, path: Path): TableReading<E> {
  const { table, problems: doubles } = resolveAliases(entries, written, path);
  const values: Record<string, unknown> = {};
  const problems = [...doubles, ...findUnknownKeys(entries, table, path)];
  for (const [key, schema] of Object.entries(entries)) {
    const isPresent = Object.hasOwn(table, key);
    const result = v.safeParse(schema, table[key], { abortPipeEarly: true });
    const expected = v.getDescription(schema) ?? null;
    if (result.success) values[key] = result.output;
    else if (!isPresent) problems.push(valueProblem([...path, key], 'is missing', expected));
    else for (const issue of result.issues) problems.push(toFault(issue, [...path, key], expected));
  }
  return { table, values: values as Partial<Values<E>>, problems };
}

/** Second names of keys: `base` is monocore's own word for what docker calls an image. */
export const ALIASES: Readonly<Record<string, string>> = { image: 'base' };

function resolveAliases(entries: Entries, written: Table, path: Path): { table: Table; problems: PathProblem[] } {
  const used = Object.entries(ALIASES).filter(
    ([key, alias]) => Object.hasOwn(entries, key) && Object.hasOwn(written, alias),
  );
  if (used.length === 0) return { table: written, problems: [] };
  const table: Record<string, unknown> = Object.assign(Object.create(null), written);
  const problems: PathProblem[] = [];
  for (const [key, alias] of used) {
    delete table[alias];
    if (Object.hasOwn(written, key))
      problems.push(keyProblem([...path, alias], `means the same as ${key}, which is given, too`, 'one of them'));
    else table[key] = written[alias];
  }
  return { table, problems };
}

/** The path of a value by the keys that the document has: where it has an alias, that is named. */
export function pathAsWritten(document: Table, path: Path): Path {
  let value: unknown = document;
  return path.map((part) => {
    const alias = ALIASES[part];
    const isAlias = alias !== undefined && isTable(value) && !Object.hasOwn(value, part) && Object.hasOwn(value, alias);
    const key = isAlias ? alias : part;
    value = (isTable(value) || Array.isArray(value)) && Object.hasOwn(value, key) ? (value as Table)[key] : undefined;
    return key;
  });
}

function toFault(issue: v.BaseIssue<unknown>, path: Path, expected: string | null): PathProblem {
  // A key that must not be there at all is named itself, not its value.
  if (issue.type === 'never') return keyProblem(path, issue.message, expected);
  const below = issue.path?.map((item) => item.key as string | number) ?? [];
  return valueProblem([...path, ...below], issue.message, expected);
}

/** What other tools call a key, where that is spelt too differently to be a slip. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    entrypoint: 'command',
    cmd: 'command',
    environment: 'envs',
    memory: 'ram',
    mem_limit: 'ram',
    working_dir: 'workdir',
    cwd: 'workdir',
    depends: 'depends_on',
    mounts: 'volumes',
    scale: 'replicas',
    ulimits: 'open_files',
  }),
);

function findUnknownKeys(entries: Entries, table: Table, path: Path): PathProblem[] {
  const known = Object.keys(entries).filter((key) => v.getDescription(entries[key]!) !== undefined);
  const unknown = Object.keys(table).filter((key) => !Object.hasOwn(entries, key));
  return unknown.map((key) => {
    const other = OTHER_NAMES.get(key);
    const meant = other !== undefined && known.includes(other) ? other : closest(key, known);
    if (meant !== null) return keyProblem([...path, key], `unknown key; did you mean "${meant}"?`);
    return keyProblem([...path, key], 'unknown key', `one of ${known.join(', ')}`);
  });
}
