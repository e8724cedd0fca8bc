/** Names with a text each: an array of `"NAME=value"` as in monocore, or a table. Variables and secrets are such. */
import { resolve } from 'node:path';
import type { JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { SECRET_NAME, VARIABLE_NAME } from '../../protocol/input.ts';
import type { Secret } from '../../protocol/service.ts';
import { isTable, kindOf, quote, type Table } from '../languages/document.ts';
import { interpolate } from './references.ts';
import { mustBe, parsed, scalar } from './values.ts';

const PAIRS: JsonSchema = {
  anyOf: [
    { type: 'array', items: { type: 'string', pattern: '=' } },
    { type: 'object', additionalProperties: { type: 'string' } },
  ],
};

/** Names that valibot's records drop, so that they would not reach the daemon. */
const LOST_NAMES: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

type PairCheck = (name: string, value: string) => string | null;

/** Texts by name. Each faulty one is an issue of its own, at its index or key. */
function pairs(check: PairCheck) {
  return v.pipe(
    v.custom<readonly unknown[] | Table>(
      (input) => Array.isArray(input) || isTable(input),
      mustBe('an array or a table'),
    ),
    v.rawTransform<readonly unknown[] | Table, Record<string, string>>(({ dataset, addIssue, NEVER }) => {
      const input = dataset.value;
      const found = new Map<string, string>();
      let isFaulty = false;
      for (const [key, value] of Array.isArray(input) ? input.entries() : Object.entries(input)) {
        const pair = typeof value !== 'string' ? [] : typeof key === 'number' ? value.split(/=(.*)/s, 2) : [key, value];
        const [name, text] = pair;
        let message: string | null;
        if (name === undefined) message = `must be a string, not ${kindOf(value)}`;
        else if (text === undefined) message = 'has no "="';
        else if (LOST_NAMES.has(name)) message = `${quote(name)} cannot be a name here`;
        else message = check(name, text) ?? (found.has(name) ? `${quote(name)} is set twice` : null);
        if (message === null) {
          found.set(name!, text!);
          continue;
        }
        isFaulty = true;
        addIssue({ message, path: [{ type: 'unknown', origin: 'value', input, key, value }] });
      }
      return isFaulty ? NEVER : Object.fromEntries(found);
    }),
  );
}

export const Variables = scalar(pairs(findVariableProblem), 'an array such as ["NAME=value"], or a table of strings', {
  json: PAIRS,
});

/** The problem with a variable of the config or of an `env_file`, or null. Pure. */
export function findVariableProblem(name: string, value: string): string | null {
  if (!VARIABLE_NAME.test(name)) return `${quote(name)} is not a valid variable name`;
  if (value.includes('\0')) return 'must not contain a NUL character';
  return findReferenceProblem(value);
}

/** References are resolved for a start; here they are parsed, so that a check reports a mistake, too. */
function findReferenceProblem(value: string): string | null {
  const reading = interpolate(value, () => '');
  if (reading.ok || reading.fault.type !== 'malformed') return null;
  const [text] = /^\$\{[^}]*\}?/.exec(value.slice(reading.fault.at)) ?? [''];
  const problem = text.endsWith('}') ? `is neither \${NAME} nor \${NAME:-default}` : 'has no closing "}"';
  return `${quote(text)} ${problem}; a literal "$" is written "$$"`;
}

const SecretPairs = pairs((name, path) => {
  if (!SECRET_NAME.test(name)) return `${quote(name)} is not a valid name of a secret`;
  if (path === '') return 'has no path after the "="';
  return /\p{Cc}/u.test(path) ? 'must not contain control characters' : null;
});

/** Files by the names of secrets; their paths become absolute. */
export const Secrets = scalar(
  ({ folder }) =>
    parsed(SecretPairs, (paths) =>
      Object.entries(paths).map(([name, path]): Secret => ({ name, path: resolve(folder, path) })),
    ),
  'an array such as ["db_password=/path"], or a table of paths',
  { json: PAIRS, print: (secrets: readonly Secret[]) => secrets.map(({ name, path }) => `${name}=${path}`) },
);
