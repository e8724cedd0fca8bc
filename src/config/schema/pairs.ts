/** Names with a text each: an array of `"NAME=value"` as in monocore, or a table. */
import * as v from 'valibot';
import { isTable, kindOf, type Table } from '../languages/syntax.ts';
import { quote } from '../problems.ts';
import { mustBe } from './fields.ts';

/** Names that valibot's records leave out, so that they would be lost on the way to the daemon. */
const LOST_NAMES: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

/** What is wrong with a pair, or null. */
export type PairCheck = (name: string, value: string) => string | null;

/** Texts by name. Every faulty one is an issue of its own, at its index or key. */
export function pairs(check: PairCheck) {
  return v.pipe(
    v.custom<readonly unknown[] | Table>(
      (input) => Array.isArray(input) || isTable(input),
      mustBe('an array or a table'),
    ),
    v.rawTransform<readonly unknown[] | Table, Record<string, string>>(({ dataset, addIssue, NEVER }) => {
      const input = dataset.value;
      const found = new Map<string, string>();
      let faulty = false;
      for (const [key, value] of Array.isArray(input) ? input.entries() : Object.entries(input)) {
        const pair = typeof key === 'number' ? splitPair(value) : readPair(key, value);
        const message = typeof pair === 'string' ? pair : findProblem(pair, found, check);
        if (message !== null) {
          faulty = true;
          addIssue({ message, path: [{ type: 'unknown', origin: 'value', input, key, value }] });
        } else if (typeof pair !== 'string') {
          found.set(...pair);
        }
      }
      return faulty ? NEVER : Object.fromEntries(found);
    }),
  );
}

/** An element of the array, or what is wrong with it. */
function splitPair(text: unknown): [name: string, value: string] | string {
  if (typeof text !== 'string') return `must be a string, not ${kindOf(text)}`;
  const equals = text.indexOf('=');
  if (equals === -1) return 'has no "="';
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** An entry of the table, or what is wrong with it. */
function readPair(name: string, value: unknown): [name: string, value: string] | string {
  if (typeof value !== 'string') return `must be a string, not ${kindOf(value)}`;
  return [name, value];
}

function findProblem([name, value]: [string, string], earlier: ReadonlyMap<string, string>, check: PairCheck) {
  if (LOST_NAMES.has(name)) return `${quote(name)} cannot be a name here`;
  const problem = check(name, value);
  if (problem !== null) return problem;
  return earlier.has(name) ? `${quote(name)} is set twice` : null;
}
