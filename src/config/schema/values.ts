/** General value types. Messages say what is wrong with a value; `expected` describes a valid one. */
import { resolve } from 'node:path';
import type { JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { didYouMean } from '../../lib/closest.ts';
import { errorText } from '../../lib/errors.ts';
import { parseImageReference } from '../../protocol/image-reference.ts';
import {
  isCommandUser,
  isUser,
  MAX_PATH_BYTES,
  nameRule,
  noControlsRule,
  noNulRule,
  reservedNameRule,
} from '../../protocol/input.ts';
import { StopSignalSchema } from '../../protocol/service.ts';
import { kindOf } from '../languages/document.ts';
import { interpolate } from './references.ts';
import type { ParseContext, ScalarType } from './types.ts';

export type Schema<T> = v.GenericSchema<unknown, T>;

/** Makes a value type from a schema and a description of valid values, both of which may depend on the context. */
export function scalar<T>(
  schema: Schema<T> | ((context: ParseContext) => Schema<T>),
  expected: string | ((context: ParseContext | null) => string),
  more: Pick<ScalarType<T>, 'print' | 'nullWord' | 'unit' | 'json'> = {},
): ScalarType<T> {
  return {
    kind: 'scalar',
    schema: typeof schema === 'function' ? schema : () => schema,
    expected: typeof expected === 'function' ? expected : () => expected,
    ...more,
  };
}

export interface Problem {
  readonly problem: string;
}

/** Schema followed by a conversion in code, which returns a value or the problem with it. */
export function parsed<I, O>(schema: Schema<I>, parse: (input: I) => O | Problem): Schema<O> {
  return v.pipe(
    schema,
    v.rawTransform<I, O>(({ dataset, addIssue, NEVER }) => {
      const result = parse(dataset.value);
      if (!isProblem(result)) return result;
      addIssue({ message: result.problem });
      return NEVER;
    }),
  );
}

export function isProblem(result: unknown): result is Problem {
  return typeof result === 'object' && result !== null && 'problem' in result;
}

export function mustBe(wanted: string): (issue: v.BaseIssue<unknown>) => string {
  return (issue) => `must be ${wanted}, not ${kindOf(issue.input)}`;
}

export const Text = v.string(mustBe('a string'));
export const Flag = v.boolean(mustBe('a boolean'));

/** String that can be passed as a program argument. */
export const Argument = v.pipe(Text, noNulRule);

/** String that can be shown on one line. */
export const Printable = v.pipe(Text, v.regex(/\S/, 'must not be empty'), noControlsRule);

export const Name = v.pipe(Text, nameRule);
export const ServiceName = v.pipe(Name, reservedNameRule);

/**
 * Accepts a whole number as the string that it looks like. Others are rejected: `1.10` and `1e3` would not come back as
 * they were written.
 */
export function orWholeNumber<T>(schema: Schema<T>): Schema<T> {
  const toText = (input: unknown) => (Number.isSafeInteger(input) || typeof input === 'bigint' ? String(input) : input);
  return v.pipe(v.unknown(), v.transform(toText), schema) as Schema<T>;
}

export function list<T>(item: Schema<T>): Schema<T[]> {
  return v.array(item, mustBe('an array')) as Schema<T[]>;
}

export const Arguments = scalar(list(orWholeNumber(Argument)), 'an array of strings', {
  json: { type: 'array', items: { type: ['string', 'integer'] } },
});

/** Path on the host, relative to the config; becomes absolute. */
export function hostPath({ folder }: ParseContext): Schema<string> {
  return parsed(Printable, (path) => resolve(folder, path));
}

export const TEXT_OR_TEXTS: JsonSchema = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };

/** Path on the host, or several; they become absolute. */
export const HostPaths = scalar(
  (context) => {
    const path = hostPath(context);
    const one = parsed(path, (file) => [file]);
    const several = v.array(path, mustBe('a string or an array'));
    return v.lazy((input) => (typeof input === 'string' ? one : several)) as Schema<string[]>;
  },
  'the path of a file, or an array of paths',
  { json: TEXT_OR_TEXTS },
);

/**
 * Removes `.`, `..` and redundant slashes from a path. Unlike in path.normalize(), a `..` above the root is a problem.
 */
export function normalizePath(path: string): string | Problem {
  if (!path.startsWith('/')) return { problem: 'must be absolute' };
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { problem: `is longer than ${MAX_PATH_BYTES} bytes` };
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return { problem: 'leads above the root' };
  }
  return `/${parts.join('/')}`;
}

/**
 * Resolves a host path that is absolute, or that begins with `./` or `../` and is relative to the config. A bare name
 * is rejected, because it names a volume in docker compose.
 */
export function placeOnHost(path: string, { folder }: ParseContext): string | Problem {
  if (/^\.\.?(\/|$)/.test(path)) return resolve(folder, path);
  const normal = normalizePath(path);
  return path.startsWith('/') ? normal : { problem: 'must be absolute, or begin with "./"' };
}

/** Yields the normalised path and all its parents up to the root: `/a/b`, `/a`, `/`. */
export function* upwards(path: string): Generator<string> {
  let current = path;
  while (current !== '/') {
    yield current;
    current = current.slice(0, current.lastIndexOf('/')) || '/';
  }
  yield current;
}

/**
 * True if the first normalised path equals the second or lies below it; whole path segments count: `/database` is not
 * below `/data`.
 */
export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

/** Absolute path in the guest or on the host; becomes normalised. */
export const AbsolutePath = parsed(Printable, normalizePath);

export function choice<const Words extends readonly string[]>(words: Words, message: string) {
  return scalar(v.picklist(words, suggesting(words, message)), wordList(words));
}

/** Message for a word that is not one of `words`, with a suggestion for a likely misspelling. */
function suggesting(words: readonly string[], message: string) {
  return ({ input }: { input: unknown }) => (typeof input === 'string' ? message + didYouMean(input, words) : message);
}

/** `"a" or "b"`, `one of "a", "b", "c"`. */
function wordList(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`);
  return quoted.length === 2 ? quoted.join(' or ') : `one of ${quoted.join(', ')}`;
}

export const ImageName = scalar(
  ({ lookup }) => parsed(Printable, (name) => checkImageName(name, lookup)),
  'the name of an image such as "alpine:3.20"',
);

/** Checks the name of an image and resolves its references. */
function checkImageName(written: string, lookup: ParseContext['lookup']): string | Problem {
  const resolved = interpolate(written, lookup);
  if (!resolved.ok) {
    const { fault } = resolved;
    const problem = fault.type === 'unset' ? `refers to ${fault.name}, which is not set` : 'has a malformed reference';
    return { problem: `${problem}; a default is written \${NAME:-default}` };
  }
  const name = resolved.value;
  try {
    parseImageReference(name);
    return name;
  } catch (error) {
    const reason = errorText(error).split(' is not the name of an image: ').at(-1);
    return { problem: `is not the name of an image: ${reason}` };
  }
}

/**
 * Registries, written as `host` or `host:port` like at the start of image names; duplicates are removed and letters
 * become lower case.
 */
export const Registries = scalar(
  parsed(list(v.pipe(Printable, v.toLowerCase(), v.check(isRegistry, 'is not a registry'))), (registries) => [
    ...new Set(registries),
  ]),
  'an array of registries such as "registry.lan:5000"',
);

function isRegistry(host: string): boolean {
  try {
    return parseImageReference(`${host}/image`).registry === host;
  } catch {
    return false;
  }
}

/** `"TERM"` or `"SIGTERM"`, in upper or lower case. */
export const StopSignal = scalar(
  v.pipe(
    Text,
    v.transform((text) => text.toUpperCase().replace(/^(?!SIG)/, 'SIG')),
    v.picklist(StopSignalSchema.options, suggesting(StopSignalSchema.options, 'is not a signal that ends a command')),
  ),
  wordList(StopSignalSchema.options.map((signal) => signal.slice(3))),
  { print: (signal: string) => signal.slice(3) },
);

const NameOrNumber = v.union([v.string(), v.number()], mustBe('a name or a number'));

export const HostUser = scalar(
  v.pipe(NameOrNumber, v.transform(String), v.check(isUser, 'is not the name or number of a user')),
  'the name or number of a user of this host',
);

export const CommandUser = scalar(
  v.pipe(NameOrNumber, v.transform(String), v.check(isCommandUser, 'is not a user or user:group')),
  'the name or number of a user, also with a group behind a colon',
);
