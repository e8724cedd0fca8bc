/** Value types for amounts: numbers, sizes and durations. */
import * as v from 'valibot';
import {
  DAY_MS,
  exactDuration,
  exactSize,
  formatDuration,
  formatSize,
  MIB,
  parseDurationMs,
  parseSize,
} from '../../lib/units.ts';
import { mustBe, type Problem, parsed, type Schema, scalar } from './values.ts';

/**
 * Minimum memory of a guest, MiB. Measured with Debian 12's cloud kernel and a disk, 8 boots each: with 96 MiB 3 guests
 * panicked for lack of memory, with 104, 112 and 120 none did. The rest is a reserve for other kernels and devices.
 */
const MIN_RAM_MIB = 112;

const IN_MIB = { print: (mib: number) => exactSize(mib * MIB), unit: 'mib' } as const;
const IN_BYTES = { print: exactSize, unit: 'bytes' } as const;
const IN_MS = { print: exactDuration, unit: 'ms' } as const;

const Integer = v.pipe(v.number(mustBe('an integer')), v.integer('must be a whole number'));

export function integerSchema(min: number, max: number) {
  return v.pipe(Integer, v.minValue(min, `must be at least ${min}`), v.maxValue(max, `must be at most ${max}`));
}

/** Whole number within limits; `noun` says what is counted: `a number of restarts,`. */
export function integer(min: number, max: number, noun = 'a number', suffix = '') {
  return scalar(integerSchema(min, max), `${noun} from ${min} to ${max}${suffix}`);
}

export function count(expected: string) {
  return scalar(v.pipe(Integer, v.minValue(0, 'must not be negative')), expected);
}

export const Cpus = scalar(
  ({ host }) =>
    v.pipe(
      Integer,
      v.minValue(1, 'must be at least 1'),
      v.maxValue(host.cpus, `is more than the ${host.cpus} that this host has`),
    ),
  (context) => `an integer from 1 to ${context?.host.cpus ?? 'the number that the host has'}`,
);

/** Memory of a guest: MiB as a number, or a size with a unit, rounded down to whole MiB. */
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
  IN_MIB,
);

/**
 * MiB of a size with a unit; null for anything else. A bare number in quotes would be bytes to units.ts but MiB to the
 * user.
 */
function sizeMib(text: string): number | null {
  const bytes = /[a-z]\s*$/i.test(text) ? parseSize(text) : null;
  return bytes === null ? null : Math.floor(bytes / MIB);
}

function sizeSchema(minBytes: number, maxBytes: number) {
  const written = v.union([v.number(), v.string()], mustBe('a size'));
  return v.pipe(
    parsed(written, toBytes),
    v.integer('must be a whole number of bytes'),
    v.minValue(minBytes, `is less than ${formatSize(minBytes)}`),
    v.maxValue(maxBytes, `is more than ${formatSize(maxBytes)}`),
  );
}

/** Number of bytes, or a size with a unit; converted to bytes. */
export function size(minBytes: number, maxBytes = Number.MAX_SAFE_INTEGER, example = '10MiB') {
  return scalar(sizeSchema(minBytes, maxBytes), sizeRange(example, minBytes, maxBytes), IN_BYTES);
}

/** Like {@link size}, but also accepts a word for no limit; converted to bytes or null. */
export function sizeOr(word: string, minBytes: number, example: string) {
  return scalar(
    orNull(word, sizeSchema(minBytes, Number.MAX_SAFE_INTEGER)),
    `${sizeRange(example, minBytes, Number.MAX_SAFE_INTEGER)}, or "${word}"`,
    { ...IN_BYTES, nullWord: word },
  );
}

function toBytes(size: number | string): number | Problem {
  return (typeof size === 'number' ? size : parseSize(size)) ?? { problem: 'is not a size' };
}

function sizeRange(example: string, minBytes: number, maxBytes: number): string {
  const min = formatSize(minBytes);
  const limits = maxBytes >= 2 ** 50 ? `at least ${min}` : `from ${min} to ${formatSize(maxBytes)}`;
  return `a size such as "${example}", ${limits}`;
}

/** Size that does not exceed the memory of the host; converted to bytes. */
export const HostMemory = scalar(
  ({ host }) => sizeSchema(MIB, host.ramMib * MIB),
  (context) => sizeRange('512MiB', MIB, context === null ? Number.MAX_SAFE_INTEGER : context.host.ramMib * MIB),
  IN_BYTES,
);

/** Minimum size: a file system and its journal need some space themselves. */
const MIN_DISK_BYTES = 16 * MIB;
const MAX_DISK_BYTES = 16 * 2 ** 40;

/** Size of a disk, converted to MiB; null for `"none"`. */
export const Disk = scalar(
  orNull(
    'none',
    parsed(sizeSchema(MIN_DISK_BYTES, MAX_DISK_BYTES), (bytes) => Math.floor(bytes / MIB)),
  ),
  `${sizeRange('1GiB', MIN_DISK_BYTES, MAX_DISK_BYTES)}, or "none"`,
  { ...IN_MIB, nullWord: 'none' },
);

/** Accepts a word that means null, or a value. */
function orNull<T>(word: string, schema: Schema<T>): Schema<T | null> {
  return v.union(
    [parsed(v.literal(word), () => null), schema],
    // The message of the other schema, because a user who writes another value does not mean the word.
    (issue) => issue.issues?.at(-1)?.message ?? `is neither "${word}" nor a valid value`,
  ) as Schema<T | null>;
}

function durationSchema(minMs: number, maxMs: number) {
  const written = v.union([v.number(), v.string()], mustBe('a number of seconds or a duration'));
  return v.pipe(
    parsed(written, toMs),
    v.minValue(minMs, minMs === 0 ? 'must not be negative' : `is shorter than ${formatLimit(minMs)}`),
    v.maxValue(maxMs, `is longer than ${maxMs === DAY_MS ? 'a day' : formatDuration(maxMs)}`),
  );
}

/** Number of seconds, or a duration with a unit; converted to milliseconds. */
export function duration(minMs: number, maxMs: number, example: string) {
  const limits =
    minMs === 0 ? `at most ${formatDuration(maxMs)}` : `from ${formatLimit(minMs)} to ${formatDuration(maxMs)}`;
  return scalar(durationSchema(minMs, maxMs), `seconds or a duration such as "${example}", ${limits}`, IN_MS);
}

/** Duration, or a word for an unlimited one; converted to milliseconds or null. */
export function durationOr(word: string, minMs: number, maxMs: number, example: string) {
  return scalar(
    orNull(word, durationSchema(minMs, maxMs)),
    `seconds or a duration such as "${example}", or "${word}"`,
    { ...IN_MS, nullWord: word },
  );
}

/** Like `formatDuration`, which does not support fractions of a second. */
function formatLimit(limitMs: number): string {
  return limitMs < 1000 ? `${limitMs}ms` : formatDuration(limitMs);
}

function toMs(time: number | string): number | Problem {
  const ms = typeof time === 'number' ? Math.round(time * 1000) : parseDurationMs(time);
  return ms ?? { problem: 'is not a duration' };
}
