/** Reading one table of the document against its schema. */
import * as v from 'valibot';
import type { Path } from '../languages/positions.ts';
import type { Table } from '../languages/syntax.ts';
import { closest, keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import type { Entries, Values } from './config.ts';

/** What became of a table: the keys that are valid, defaults filled in, and the problems of the others. */
export interface TableReading<E extends Entries> {
  readonly values: Partial<Values<E>>;
  readonly problems: readonly PathProblem[];
}

/**
 * Reads each key by itself rather than the table as a whole: one faulty key then leaves the others for the cross
 * checks, and all unknown keys are found where valibot's strictObject stops at the first.
 */
export function readTable<E extends Entries>(entries: E, table: Table, path: Path): TableReading<E> {
  const values: Record<string, unknown> = {};
  const problems = findUnknownKeys(entries, table, path);
  for (const [key, schema] of Object.entries(entries)) {
    const isPresent = Object.hasOwn(table, key);
    const result = v.safeParse(schema, table[key], { abortPipeEarly: true });
    const expected = v.getDescription(schema) ?? null;
    if (result.success) values[key] = result.output;
    else if (!isPresent) problems.push(valueProblem([...path, key], 'is missing', expected));
    else for (const issue of result.issues) problems.push(toFault(issue, [...path, key], expected));
  }
  return { values: values as Partial<Values<E>>, problems };
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
    image: 'base',
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
