/** Reads a table of the document according to its rows in `keys.ts`. */
import * as v from 'valibot';
import { closest } from '../../lib/closest.ts';
import { isTable, kindOf, type Path, type Table } from '../languages/document.ts';
import { keyProblem, type PathProblem, valueProblem } from '../problems.ts';
import type {
  AnyKey,
  EntriesType,
  KeyTable,
  ParseContext,
  ParsedTable,
  ScalarType,
  TablesType,
  Values,
} from './types.ts';

/**
 * Maximum number of tables of a kind, far more than a host can run. Without a limit the rules between tables could take
 * minutes.
 */
export const MAX_TABLES = 1000;

/** Maximum number of keys to list in a message; users would rather look up longer lists. */
const MAX_LISTED_KEYS = 8;

function unknownKey(known: readonly string[]): [message: string, expected: string | null] {
  if (known.length > MAX_LISTED_KEYS) return ['unknown key; monocore help config lists the keys', null];
  return ['unknown key', `one of ${known.join(', ')}`];
}

const EMPTY: Table = Object.freeze(Object.create(null));

/**
 * Values with defaults in place of invalid ones, so that rules still see the others; undefined if a required one is
 * invalid.
 */
function completed(keys: KeyTable, values: Readonly<Record<string, unknown>>) {
  const isComplete = Object.entries(keys).every(([name, { presence }]) => presence !== 'required' || name in values);
  const defaults = Object.entries(keys).map(([name, key]) => [name, key.default]);
  return isComplete ? { ...Object.fromEntries(defaults), ...values } : undefined;
}

/** Reads tables of a document and collects the problems in them. */
export class TableReader {
  readonly problems: PathProblem[] = [];
  /** Paths as written in the document, for values given by an alias; keyed by the path as JSON. */
  readonly written = new Map<string, Path>();
  readonly #context: ParseContext;
  /** Cached schemas: building one takes longer than using it, and a config may have a thousand tables of a kind. */
  readonly #schemas = new Map<ScalarType<unknown>, v.GenericSchema>();

  constructor(context: ParseContext) {
    this.#context = context;
  }

  /**
   * Validates each key separately rather than the table as a whole: an invalid key then leaves the others available for
   * the rules between keys, and all unknown keys are found, whereas valibot's strictObject stops at the first.
   */
  table<K extends KeyTable>(keys: K, written: Table, path: Path): ParsedTable<Values<K>> {
    const table = this.#resolveAliases(keys, written, path);
    this.#findUnknownKeys(keys, table, path);
    const values: Record<string, unknown> = {};
    for (const [name, key] of Object.entries(keys)) {
      const value = Object.hasOwn(table, name)
        ? this.#value(key, table[name], [...path, name])
        : this.#absent(key, [...path, name]);
      if (value !== undefined) values[name] = value;
    }
    return { path, table, values: values as Partial<Values<K>> };
  }

  #absent({ presence, type, default: value }: AnyKey, path: Path): unknown {
    if (presence === 'default' && type.kind === 'table') return this.table(type.keys, EMPTY, path);
    if (presence === 'default') return type.kind === 'scalar' ? value : [];
    if (presence === 'required') {
      this.#report(valueProblem(path, 'is missing', type.kind === 'scalar' ? type.expected(this.#context) : null));
    }
    return undefined;
  }

  /** Value of a key that is present; undefined if it is not valid. */
  #value({ type }: AnyKey, input: unknown, path: Path): unknown {
    switch (type.kind) {
      case 'scalar':
        return this.#scalar(type, input, path);
      case 'table':
        if (isTable(input)) return this.table(type.keys, input, path);
        return this.#report(valueProblem(path, `must be a table, not ${kindOf(input)}`, `a table ${type.header}`));
      case 'tables':
        if (Array.isArray(input)) return this.#tables(type, input, path);
        return this.#report(valueProblem(path, `must be an array of tables, not ${kindOf(input)}`, type.header));
      case 'entries':
        if (Array.isArray(input)) return this.#entries(type, input, path);
        return this.#report(valueProblem(path, `must be an array, not ${kindOf(input)}`, type.expected));
    }
  }

  #scalar(type: ScalarType<unknown>, input: unknown, path: Path): unknown {
    const schema = this.#schemas.get(type) ?? type.schema(this.#context);
    this.#schemas.set(type, schema);
    const result = v.safeParse(schema, input, { abortPipeEarly: true });
    if (result.success) return result.output;
    for (const issue of result.issues) {
      const below = issue.path?.map((item) => item.key as string | number) ?? [];
      this.#report(valueProblem([...path, ...below], issue.message, type.expected(this.#context)));
    }
    return undefined;
  }

  #tables({ header, keys }: TablesType<KeyTable>, elements: readonly unknown[], path: Path): ParsedTable<unknown>[] {
    if (elements.length > MAX_TABLES) {
      this.#report(valueProblem(path, `has ${elements.length} elements`, `at most ${MAX_TABLES}`));
    }
    return elements.slice(0, MAX_TABLES).flatMap((element, index) => {
      const at = [...path, index];
      if (isTable(element)) return [this.table(keys, element, at)];
      this.#report(valueProblem(at, `must be a table, not ${kindOf(element)}`, header));
      return [];
    });
  }

  /** Elements of an array; undefined if one is invalid, because rules between keys locate an element by its index. */
  #entries(type: EntriesType<KeyTable>, elements: readonly unknown[], path: Path): unknown[] | undefined {
    const values = elements.map((element, index) => {
      const at = [...path, index];
      if (isTable(element)) return completed(type.keys, this.table(type.keys, element, at).values);
      const expanded =
        typeof element === 'string'
          ? type.expand(element)
          : { problem: `must be a string or a table, not ${kindOf(element)}` };
      if (!('problem' in expanded)) return expanded;
      return this.#report(valueProblem(at, String(expanded.problem), type.expected));
    });
    return values.includes(undefined) ? undefined : values;
  }

  #resolveAliases(keys: KeyTable, written: Table, path: Path): Table {
    const table: Record<string, unknown> = Object.assign(Object.create(null), written);
    for (const [name, { alias }] of Object.entries(keys)) {
      if (alias === undefined || !Object.hasOwn(written, alias)) continue;
      delete table[alias];
      const at = [...path, alias];
      if (Object.hasOwn(written, name)) {
        this.#report(keyProblem(at, `means the same as ${name}, which is also given`, 'one of them'));
        continue;
      }
      table[name] = written[alias];
      this.written.set(JSON.stringify([...path, name]), at);
    }
    return table;
  }

  #findUnknownKeys(keys: KeyTable, table: Table, path: Path): void {
    const known = Object.keys(keys);
    for (const name of Object.keys(table)) {
      if (Object.hasOwn(keys, name)) continue;
      const meant = known.find((key) => keys[key]!.otherNames?.includes(name)) ?? closest(name, known);
      this.#report(
        meant === null
          ? keyProblem([...path, name], ...unknownKey(known))
          : keyProblem([...path, name], `unknown key; did you mean "${meant}"?`),
      );
    }
  }

  #report(problem: PathProblem): undefined {
    this.problems.push(problem);
  }
}
