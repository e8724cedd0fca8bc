/**
 * Validation of all input from outside: configs, requests, files of the home, guests, registries and images. Every
 * entry point limits sizes and rejects names and texts by these rules. Pure.
 */
import { isIPv4 } from 'node:net';
import * as v from 'valibot';
import { MIB } from '../lib/units.ts';

/**
 * Pattern of names. They become part of file names, host names and Unix socket paths; 63 is the limit of a DNS label,
 * RFC 1035.
 */
export const NAME_PATTERN = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';
const NAME = new RegExp(`^${NAME_PATTERN}$`);

/** Name of the daemon's own log, see `state/paths.ts`. */
const RESERVED_NAME = 'monocore';

/** True for a valid name of a service or a group; such a name cannot lead out of a folder. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export const nameRule = v.check(isName, 'is not a valid name');
export const reservedNameRule = v.notValue<string, typeof RESERVED_NAME, string>(
  RESERVED_NAME,
  `"${RESERVED_NAME}" is reserved for the daemon itself`,
);
/** Rejects NUL, because execve(2) ends each string at the first one. */
export const noNulRule = v.check((text: string) => !text.includes('\0'), 'must not contain a NUL character');
/** Rejects control characters, so that the text fits on one line. */
export const noControlsRule = v.regex(/^\P{Cc}*$/u, 'must not contain control characters');
/** Name of a POSIX variable (XBD 3.216), the only kind that every shell can read. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Name without slashes, for `/run/secrets/<name>`; the maximum length is NAME_MAX of Linux. */
export const SECRET_NAME = /^(?!\.{1,2}$)[\w.-]{1,255}$/;
/** PATH_MAX of Linux without the NUL, see path_resolution(7). */
export const MAX_PATH_BYTES = 4095;
/** MAX_ARG_STRLEN of Linux, the longest argument or variable of execve(2), without the NUL. */
const MAX_ARGUMENT_BYTES = 128 * 1024 - 1;
export const MAX_PORT = 65_535;
/** Highest user id; the next value, (uid_t) -1, means "unchanged" to setreuid(2) and others. */
const MAX_USER_ID = 2 ** 32 - 2;

/** True for the name or number of a user of the host. */
export function isUser(text: string): boolean {
  return /^\d+$/.test(text) ? Number(text) <= MAX_USER_ID : /^[A-Za-z_][\w.-]{0,31}$/.test(text);
}

/**
 * True for `user` or `user:group`, by name or number, as in images and compose files (image-spec, config.md, "User").
 */
export function isCommandUser(text: string): boolean {
  const names = text.split(':');
  return names.length <= 2 && names.every(isUser);
}

/** Size limits of input that is read as a whole. */
export const MAX_BYTES = Object.freeze({
  /** Enough for a config of thousands of services. */
  request: 4 * MIB,
  /** State file of a service. */
  state: 8 * MIB,
  /** Index of the image store; an image takes some 300 bytes. */
  index: 64 * MIB,
  /** Other JSON files of the home. */
  record: MIB,
});

/** Maximum number of names in a request, and of entries in any list of a service definition. */
const MAX_ITEMS = 10_000;

function atMostBytes(bytes: number) {
  return v.check((text: string) => Buffer.byteLength(text) <= bytes, `must not have more than ${bytes} bytes`);
}

export const Name = v.pipe(v.string(), nameRule);
export const ServiceName = v.pipe(Name, reservedNameRule);
/** String that can be passed as a program argument. */
export const Argument = v.pipe(v.string(), noNulRule, atMostBytes(MAX_ARGUMENT_BYTES));
/** Absolute path on the host or in the guest. */
export const Path = v.pipe(v.string(), v.regex(/^\/\P{Cc}*$/u, 'is not an absolute path'), atMostBytes(MAX_PATH_BYTES));
/** Single-line text, for people or as a name. */
export const Line = v.pipe(v.string(), v.nonEmpty('must not be empty'), noControlsRule, atMostBytes(4096));

/** Number from `min` to `max`, not necessarily whole. */
export function amount(min = 0, max = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max));
}

/** Whole number from `min` to `max`. */
export function count(min = 0, max = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
}

export const Port = count(1, MAX_PORT);

/** IPv4 address on which a port is bound; every address of the host is one. */
export const ANY_ADDRESS = '0.0.0.0';

/** True for an IPv4 address that a host can have: addresses from 224.0.0.0 on are those of no host, RFC 5771 and RFC 1112. */
export function isHostAddress(text: string): boolean {
  return isIPv4(text) && Number.parseInt(text, 10) < 224;
}

export const HostAddress = v.pipe(v.string(), v.check(isHostAddress, 'is not an IPv4 address of a host'));

export function listOf<const Item extends v.GenericSchema>(item: Item, max = MAX_ITEMS) {
  return v.pipe(v.array(item), v.maxLength(max));
}

/**
 * Environment of a process. Valibot's records drop names such as `constructor`; {@link findUnknownKey} rejects them.
 */
export const Variables = v.record(v.pipe(v.string(), v.regex(VARIABLE_NAME, 'is not a valid variable name')), Argument);

/**
 * Finds a key of `input` that its schema does not know and has left out of `output`; null if there is none. Valibot's
 * objects drop such keys, so a misspelled one would be ignored silently.
 *
 * @returns path to the key: `['config', 'services', '0', 'comand']`
 */
export function findUnknownKey(input: unknown, output: unknown): string[] | null {
  if (typeof input !== 'object' || input === null || typeof output !== 'object' || output === null) return null;
  for (const [key, value] of Object.entries(input)) {
    if (!Object.hasOwn(output, key)) return [key];
    const below = findUnknownKey(value, (output as Record<string, unknown>)[key]);
    if (below) return [key, ...below];
  }
  return null;
}
