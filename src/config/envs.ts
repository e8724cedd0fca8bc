/** `envs`: an array of `"NAME=value"` as in monocore, or a table. */
import * as v from 'valibot';
import { quote } from './fault.ts';
import { mustBe } from './fields.ts';
import { isTable, kindOf, type Table } from './value.ts';

/** What POSIX calls a name (XBD 3.216), the only kind that every shell can read. */
const NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Names that valibot's records leave out, so that they would be lost on the way to the daemon. */
const LOST_NAMES: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

/** One variable as written, and where: an index of the array or a key of the table. */
interface Entry {
  readonly key: string | number;
  readonly name: string;
  readonly value: string;
}

/** Variables by name. Every faulty one is an issue of its own, at its index or key. */
export const Envs = v.pipe(
  v.custom<readonly unknown[] | Table>(
    (input) => Array.isArray(input) || isTable(input),
    mustBe('an array or a table'),
  ),
  v.rawTransform<readonly unknown[] | Table, Record<string, string>>(({ dataset, addIssue, NEVER }) => {
    const input = dataset.value;
    const envs = new Map<string, string>();
    let faulty = false;
    for (const [key, value] of Array.isArray(input) ? input.entries() : Object.entries(input)) {
      const entry = typeof key === 'number' ? splitEntry(key, value) : readEntry(key, value);
      const message = typeof entry === 'string' ? entry : findFault(entry, envs);
      if (message !== null) {
        faulty = true;
        addIssue({ message, path: [{ type: 'unknown', origin: 'value', input, key, value }] });
      } else if (typeof entry !== 'string') {
        envs.set(entry.name, entry.value);
      }
    }
    return faulty ? NEVER : Object.fromEntries(envs);
  }),
);

/** An element of the array, or what is wrong with it. */
function splitEntry(key: number, text: unknown): Entry | string {
  if (typeof text !== 'string') return `must be a string, not ${kindOf(text)}`;
  const equals = text.indexOf('=');
  if (equals === -1) return 'has no "="';
  return { key, name: text.slice(0, equals), value: text.slice(equals + 1) };
}

/** A pair of the table, or what is wrong with it. */
function readEntry(name: string, value: unknown): Entry | string {
  if (typeof value !== 'string') return `must be a string, not ${kindOf(value)}`;
  return { key: name, name, value };
}

function findFault({ name, value }: Entry, earlier: ReadonlyMap<string, string>): string | null {
  if (!NAME_PATTERN.test(name)) return `${quote(name)} is not a valid variable name`;
  if (LOST_NAMES.has(name)) return `${quote(name)} cannot be the name of a variable here`;
  if (value.includes('\0')) return 'must not contain a NUL character';
  if (earlier.has(name)) return `${quote(name)} is set twice`;
  return null;
}
