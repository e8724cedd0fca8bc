/**
 * The values of single keys, as valibot schemas. The messages say what is wrong; the description of each key in
 * `schema.ts` says what would be right.
 */
import { resolve } from 'node:path';
import * as v from 'valibot';
import { errorText } from '../../lib/errors.ts';
import { formatDuration, formatSize, parseDurationMs, parseSize } from '../../lib/units.ts';
import { parseImageReference } from '../../protocol/image-reference.ts';
import { isTable, kindOf, type Table } from '../languages/syntax.ts';
import { normalizePath } from '../paths.ts';
import type { HostLimits } from './host-limits.ts';

/**
 * Least memory of a guest, MiB: with less, a distribution's stock kernel dies before init (measured with Debian 12's
 * cloud kernel).
 */
export const MIN_RAM_MIB = 96;

/** Longest stop timeout, milliseconds: timers of the runtime overflow, and fire at once, past 24.8 days. */
export const MAX_STOP_TIMEOUT_MS = 86_400e3;

/** Names end up in file names, host names and unix socket paths; 63 is the limit of a DNS label, RFC 1035. */
const NAME_PATTERN = /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/;

/** The message for a value of the wrong kind. */
export function mustBe(wanted: string): (issue: v.BaseIssue<unknown>) => string {
  return (issue) => `must be ${wanted}, not ${kindOf(issue.input)}`;
}

export const Text = v.string(mustBe('a string'));

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

export const Name = v.pipe(Text, v.regex(NAME_PATTERN, 'is not a valid name'));

/** `monocore` is the base name of the daemon's own log, see `state/paths.ts`. */
export const ServiceName = v.pipe(Name, v.notValue('monocore', '"monocore" is reserved for the daemon itself'));

export const Command = Printable;

/** A path of the host, relative to `folder`; becomes absolute. */
export function hostPath(folder: string) {
  return v.pipe(
    Printable,
    v.transform((path) => resolve(folder, path)),
  );
}

/** An absolute path, of the guest or the host; becomes normalised. */
export const AbsolutePath = v.pipe(
  Printable,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const normal = normalizePath(dataset.value);
    if (typeof normal !== 'string') {
      addIssue({ message: normal.problem });
      return NEVER;
    }
    return normal;
  }),
);

/** The name of an image, as written. */
export const ImageName = v.pipe(
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
);

/** A registry: `host` or `host:port`, as the names of images begin; becomes lower case. */
export const Registry = v.pipe(Printable, v.toLowerCase(), v.check(isRegistry, 'is not a registry'));

function isRegistry(host: string): boolean {
  try {
    return parseImageReference(`${host}/image`).registry === host;
  } catch {
    return false;
  }
}

export function cpuCount(host: HostLimits) {
  return v.pipe(
    v.number(mustBe('an integer')),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be at least 1'),
    v.maxValue(host.cpus, `is more than the ${host.cpus} that this host has`),
  );
}

/** MiB as a number, or a size with its unit, rounded down to whole MiB. */
export function ramMib(host: HostLimits) {
  return v.pipe(
    v.union([v.number(), v.string()], mustBe('an integer or a size')),
    v.check((ram) => typeof ram === 'number' || sizeMib(ram) !== null, 'is not a size with a unit'),
    v.transform((ram) => (typeof ram === 'number' ? ram : (sizeMib(ram) ?? 0))),
    v.integer('must be a whole number of MiB'),
    v.minValue(MIN_RAM_MIB, 'is too little for a kernel to boot'),
    v.maxValue(host.ramMib, `is more than the ${host.ramMib} MiB that this host has`),
  );
}

/** Null for what is no size, and for a bare number in quotes: bytes to units.ts, but MiB to who wrote `ram = "256"`. */
function sizeMib(text: string): number | null {
  const bytes = /[a-z]\s*$/i.test(text) ? parseSize(text) : null;
  return bytes === null ? null : Math.floor(bytes / 2 ** 20);
}

/** Seconds as a number, or a duration with its unit; becomes milliseconds. */
export const StopTimeout = v.pipe(
  v.union([v.number(), v.string()], mustBe('a number of seconds or a duration')),
  v.check((time) => timeoutMs(time) !== null, 'is not a duration'),
  v.transform((time) => timeoutMs(time)!),
  v.minValue(0, 'must not be negative'),
  v.maxValue(MAX_STOP_TIMEOUT_MS, 'is longer than a day'),
);

/** Bytes as a number, or a size; becomes bytes. */
export function sizeBytes(minBytes: number, maxBytes: number) {
  return v.pipe(
    v.union([v.number(), v.string()], mustBe('a size')),
    v.check((size) => typeof size === 'number' || parseSize(size) !== null, 'is not a size'),
    v.transform((size) => (typeof size === 'number' ? size : parseSize(size)!)),
    v.integer('must be a whole number of bytes'),
    v.minValue(minBytes, `is less than ${formatSize(minBytes)}`),
    v.maxValue(maxBytes, `is more than ${formatSize(maxBytes)}`),
  );
}

/** Seconds as a number, or a duration with its unit; becomes milliseconds. */
export function durationMs(minMs: number, maxMs: number) {
  return v.pipe(
    v.union([v.number(), v.string()], mustBe('a number of seconds or a duration')),
    v.check((time) => timeoutMs(time) !== null, 'is not a duration'),
    v.transform((time) => timeoutMs(time)!),
    v.minValue(minMs, minMs === 0 ? 'must not be negative' : `is shorter than ${formatLimit(minMs)}`),
    v.maxValue(maxMs, `is longer than ${formatDuration(maxMs)}`),
  );
}

/** As `formatDuration`, which knows no fractions of a second. */
function formatLimit(limitMs: number): string {
  return limitMs < 1000 ? `${limitMs}ms` : formatDuration(limitMs);
}

/** A whole number within limits. */
export function integer(min: number, max: number) {
  return v.pipe(
    v.number(mustBe('an integer')),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );
}

/** A number of things, none included. */
export const Count = v.pipe(
  v.number(mustBe('an integer')),
  v.integer('must be a whole number'),
  v.minValue(0, 'must not be negative'),
);

/** A table that is read by itself, so that each key in it has its own message. */
export const SubTable = v.custom<Table>(isTable, mustBe('a table'));

function timeoutMs(time: number | string): number | null {
  return typeof time === 'number' ? Math.round(time * 1000) : parseDurationMs(time);
}
