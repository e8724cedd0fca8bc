/** Named strings, such as variables and secrets: an array of `"NAME=value"` as in monocore, or a table. */
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

/** Names that valibot's records drop, so that they would never reach the daemon. */
const LOST_NAMES: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

type PairCheck = (name: string, value: string) => string | null;

/** Strings by name. Each invalid one is a separate issue, at its index or key. */
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

/** Problem with a variable of the config or of an `env_file`; null if there is none. Pure. */
export function findVariableProblem(name: string, value: string): string | null {
  if (!VARIABLE_NAME.test(name)) return `${quote(name)} is not a valid variable name`;
  if (value.includes('\0')) return 'must not contain a NUL character';
  return findReferenceProblem(value);
}

/**
 * Checks the references in a value, so that `config check` reports mistakes too; they are resolved only for a start.
 */
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

/** Files by the names of their secrets; paths become absolute. */
export const Secrets = scalar(
  ({ folder }) =>
    parsed(SecretPairs, (paths) =>
      Object.entries(paths).map(([name, path]): Secret => ({ name, path: resolve(folder, path) })),
    ),
  'an array such as ["db_password=/path"], or a table of paths',
  { json: PAIRS, print: (secrets: readonly Secret[]) => secrets.map(({ name, path }) => `${name}=${path}`) },
);
