/**
 * Types of values, with valibot's schemas inside. Messages tell what is wrong with a value; `expected` describes a valid
 * one.
 */
import { resolve } from 'node:path';
import type { JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { errorText } from '../../lib/errors.ts';
import { exactDuration, exactSize, formatDuration, formatSize, parseDurationMs, parseSize } from '../../lib/units.ts';
import { parseImageReference } from '../../protocol/image-reference.ts';
import { StopSignalSchema } from '../../protocol/service.ts';
import { kindOf } from '../languages/syntax.ts';
import { normalizePath } from '../paths.ts';
import type { ParseContext, ScalarType } from './types.ts';

const MIB = 2 ** 20;
const DAY_MS = 86_400e3;

/**
 * Least memory of a guest, MiB: with less, a distribution's stock kernel dies before init (measured with Debian 12's
 * cloud kernel).
 */
const MIN_RAM_MIB = 96;

type Schema<T> = v.GenericSchema<unknown, T>;

/** A type of values, from a schema and a description of valid ones, either of which may depend on the context. */
export function scalar<T>(
  schema: Schema<T> | ((context: ParseContext) => Schema<T>),
  expected: string | ((context: ParseContext | null) => string),
  more: Pick<ScalarType<T>, 'print' | 'nullWord' | 'json'> = {},
): ScalarType<T> {
  return {
    kind: 'scalar',
    schema: typeof schema === 'function' ? schema : () => schema,
    expected: typeof expected === 'function' ? expected : () => expected,
    ...more,
  };
}

/** The message for a value of the wrong kind. */
export function mustBe(wanted: string): (issue: v.BaseIssue<unknown>) => string {
  return (issue) => `must be ${wanted}, not ${kindOf(issue.input)}`;
}

export const Text = v.string(mustBe('a string'));
export const Flag = v.boolean(mustBe('a boolean'));

/** A string that an argument vector can carry: execve(2) ends each string at the first NUL. */
export const Argument = v.pipe(
  Text,
  v.check((text) => !text.includes('\0'), 'must not contain a NUL character'),
);

/** Something that can be shown on one line. */
export const Printable = v.pipe(
  Text,
  v.regex(/\S/, 'must not be empty'),
  v.regex(/^\P{Cc}*$/u, 'must not contain control characters'),
);

/** Names end up in file names, host names and unix socket paths; 63 is the limit of a DNS label, RFC 1035. */
export const Name = v.pipe(Text, v.regex(/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/, 'is not a valid name'));

/** `monocore` is the name of the daemon's own log, see `state/paths.ts`. */
export const ServiceName = v.pipe(Name, v.notValue('monocore', '"monocore" is reserved for the daemon itself'));

/** An array. */
export function list<T>(item: Schema<T>): Schema<T[]> {
  return v.array(item, mustBe('an array')) as Schema<T[]>;
}

/** A path of the host, relative to the config; becomes absolute. */
export function hostPath({ folder }: ParseContext): Schema<string> {
  return v.pipe(
    Printable,
    v.transform((path) => resolve(folder, path)),
  );
}

export const TEXT_OR_TEXTS: JsonSchema = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };

/** A path of the host or several; they become absolute. */
export const HostPaths = scalar(
  (context) => {
    const path = hostPath(context);
    const one = v.pipe(
      path,
      v.transform((file) => [file]),
    );
    const several = v.array(path, mustBe('a string or an array'));
    return v.lazy((input) => (typeof input === 'string' ? one : several)) as Schema<string[]>;
  },
  'the path of a file, or an array of paths',
  { json: TEXT_OR_TEXTS },
);

/** An absolute path, of the guest or the host; becomes normalised. */
export const AbsolutePath = v.pipe(
  Printable,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const normal = normalizePath(dataset.value);
    if (typeof normal === 'string') return normal;
    addIssue({ message: normal.problem });
    return NEVER;
  }),
);

/** One of some words. */
export function choice<const Words extends readonly string[]>(words: Words, message: string) {
  return scalar(v.picklist(words, message), wordList(words));
}

/** `"a" or "b"`, `one of "a", "b", "c"`. */
function wordList(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`);
  return quoted.length === 2 ? quoted.join(' or ') : `one of ${quoted.join(', ')}`;
}

export function integerSchema(min: number, max: number) {
  return v.pipe(
    v.number(mustBe('an integer')),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );
}

/** A whole number within limits; `noun` says of what: `a number of restarts,`. */
export function integer(min: number, max: number, noun = 'a number', suffix = '') {
  return scalar(integerSchema(min, max), `${noun} from ${min} to ${max}${suffix}`);
}

/** A number of things, none included. */
export function count(expected: string) {
  return scalar(
    v.pipe(v.number(mustBe('an integer')), v.integer('must be a whole number'), v.minValue(0, 'must not be negative')),
    expected,
  );
}

/** Cpus of a guest. */
export const Cpus = scalar(
  ({ host }) =>
    v.pipe(
      v.number(mustBe('an integer')),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(host.cpus, `is more than the ${host.cpus} that this host has`),
    ),
  (context) => `an integer from 1 to ${context?.host.cpus ?? 'the number that the host has'}`,
);

/** Memory of a guest: MiB as a number, or a size with its unit, rounded down to whole MiB. */
export const Ram = scalar(
  ({ host }) =>
    v.pipe(
      v.union([v.number(), v.string()], mustBe('an integer or a size')),
      v.check((ram) => typeof ram === 'number' || sizeMib(ram) !== null, 'is not a size with a unit'),
      v.transform((ram) => (typeof ram === 'number' ? ram : (sizeMib(ram) ?? 0))),
      v.integer('must be a whole number of MiB'),
      v.minValue(MIN_RAM_MIB, 'is too little for a kernel to boot'),
      v.maxValue(host.ramMib, `is more than the ${host.ramMib} MiB that this host has`),
    ),
  (context) =>
    `MiB or a size such as "256MiB", from ${MIN_RAM_MIB} to ${context === null ? 'the memory of the host' : `${context.host.ramMib} MiB`}`,
  { print: printMib },
);

/** Null for what is not a size, and for a bare number in quotes: bytes to units.ts, but MiB to who wrote `ram = "256"`. */
function sizeMib(text: string): number | null {
  const bytes = /[a-z]\s*$/i.test(text) ? parseSize(text) : null;
  return bytes === null ? null : Math.floor(bytes / MIB);
}

function printMib(mib: number): string {
  return exactSize(mib * MIB);
}

function sizeSchema(minBytes: number, maxBytes: number) {
  return v.pipe(
    v.union([v.number(), v.string()], mustBe('a size')),
    v.check((size) => typeof size === 'number' || parseSize(size) !== null, 'is not a size'),
    v.transform((size) => (typeof size === 'number' ? size : parseSize(size)!)),
    v.integer('must be a whole number of bytes'),
    v.minValue(minBytes, `is less than ${formatSize(minBytes)}`),
    v.maxValue(maxBytes, `is more than ${formatSize(maxBytes)}`),
  );
}

/** Bytes as a number, or a size; becomes bytes. */
export function size(minBytes: number, maxBytes = Number.MAX_SAFE_INTEGER, example = '10MiB') {
  return scalar(sizeSchema(minBytes, maxBytes), sizeRange(example, minBytes, maxBytes), { print: exactSize });
}

function sizeRange(example: string, minBytes: number, maxBytes: number): string {
  const limits =
    maxBytes >= 2 ** 50
      ? `at least ${formatSize(minBytes)}`
      : `from ${formatSize(minBytes)} to ${formatSize(maxBytes)}`;
  return `a size such as "${example}", ${limits}`;
}

/** A size within the memory of the host; becomes bytes. */
export const HostMemory = scalar(
  ({ host }) => sizeSchema(MIB, host.ramMib * MIB),
  (context) => sizeRange('512MiB', MIB, context === null ? Number.MAX_SAFE_INTEGER : context.host.ramMib * MIB),
  { print: exactSize },
);

/** A file system and its journal need room of their own. */
const MIN_DISK_BYTES = 16 * MIB;
const MAX_DISK_BYTES = 16 * 2 ** 40;

/** A disk's size in MiB; null for `"none"`. */
export const Disk = scalar(
  orNull(
    'none',
    v.pipe(
      sizeSchema(MIN_DISK_BYTES, MAX_DISK_BYTES),
      v.transform((bytes) => Math.floor(bytes / MIB)),
    ),
  ),
  `${sizeRange('1GiB', MIN_DISK_BYTES, MAX_DISK_BYTES)}, or "none"`,
  { print: printMib, nullWord: 'none' },
);

/** A word for null, or a value. */
function orNull<T>(word: string, schema: Schema<T>): Schema<T | null> {
  return v.union(
    [
      v.pipe(
        v.literal(word),
        v.transform(() => null),
      ),
      schema,
    ],
    // Nobody who writes another value means the word: the other schema says what is wrong.
    (issue) => issue.issues?.at(-1)?.message ?? `is neither "${word}" nor a valid value`,
  ) as Schema<T | null>;
}

function durationSchema(minMs: number, maxMs: number) {
  return v.pipe(
    v.union([v.number(), v.string()], mustBe('a number of seconds or a duration')),
    v.check((time) => toMs(time) !== null, 'is not a duration'),
    v.transform((time) => toMs(time)!),
    v.minValue(minMs, minMs === 0 ? 'must not be negative' : `is shorter than ${formatLimit(minMs)}`),
    v.maxValue(maxMs, `is longer than ${maxMs === DAY_MS ? 'a day' : formatDuration(maxMs)}`),
  );
}

/** Seconds as a number, or a duration with its unit; becomes milliseconds. */
export function duration(minMs: number, maxMs: number, example: string) {
  const limits =
    minMs === 0 ? `at most ${formatDuration(maxMs)}` : `from ${formatLimit(minMs)} to ${formatDuration(maxMs)}`;
  return scalar(durationSchema(minMs, maxMs), `seconds or a duration such as "${example}", ${limits}`, {
    print: exactDuration,
  });
}

/** A duration, or a word for one without end; becomes milliseconds or null. */
export function durationOr(word: string, minMs: number, maxMs: number, example: string) {
  return scalar(
    orNull(word, durationSchema(minMs, maxMs)),
    `seconds or a duration such as "${example}", or "${word}"`,
    { print: exactDuration, nullWord: word },
  );
}

/** As `formatDuration`, which knows no fractions of a second. */
function formatLimit(limitMs: number): string {
  return limitMs < 1000 ? `${limitMs}ms` : formatDuration(limitMs);
}

function toMs(time: number | string): number | null {
  return typeof time === 'number' ? Math.round(time * 1000) : parseDurationMs(time);
}

/** The name of an image, as written. */
export const ImageName = scalar(
  v.pipe(
    Printable,
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      try {
        parseImageReference(dataset.value);
      } catch (error) {
        const reason = errorText(error).split(' is not the name of an image: ').at(-1);
        addIssue({ message: `is not the name of an image: ${reason}` });
      }
    }),
  ),
  'the name of an image such as "alpine:3.20"',
);

/** Registries, `host` or `host:port` as the names of images begin, each once; they become lower case. */
export const Registries = scalar(
  v.pipe(
    list(v.pipe(Printable, v.toLowerCase(), v.check(isRegistry, 'is not a registry'))),
    v.transform((registries) => [...new Set(registries)]),
  ),
  'an array of registries such as "registry.lan:5000"',
);

function isRegistry(host: string): boolean {
  try {
    return parseImageReference(`${host}/image`).registry === host;
  } catch {
    return false;
  }
}

/** `"TERM"` or `"SIGTERM"`, in any case. */
export const StopSignal = scalar(
  v.pipe(
    Text,
    v.transform((text) => text.toUpperCase().replace(/^(?!SIG)/, 'SIG')),
    v.picklist(StopSignalSchema.options, 'is not a signal that ends a command'),
  ),
  wordList(StopSignalSchema.options.map((signal) => signal.slice(3))),
  { print: (signal: string) => signal.slice(3) },
);

/** The last one, (uid_t) -1, means "leave it as it is" to setuid(2) and its like. */
const MAX_USER_ID = 2 ** 32 - 2;

/** A user of the host, by name or number. */
export const User = scalar(
  v.pipe(
    v.union([v.string(), v.number()], mustBe('a name or a number')),
    v.check(isUser, 'is not the name or number of a user'),
    v.transform(String),
  ),
  'the name or number of a user of this host',
);

function isUser(user: string | number): boolean {
  const text = String(user);
  return /^\d+$/.test(text) ? Number(text) <= MAX_USER_ID : /^[A-Za-z_][\w.-]{0,31}$/.test(text);
}
