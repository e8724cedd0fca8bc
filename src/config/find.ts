/** Finds the config that a command should use. Separate from the loader, which takes long to import. */
import { existsSync, lstatSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MonocoreError } from '../lib/errors.ts';

export const EXTENSIONS: readonly string[] = ['.toml', '.yaml', '.yml', '.json'];

/**
 * Path of the file in a folder that is named `monocore` and has a known extension; `monocore.toml` if there is none.
 * Throws `ConfigInvalid` if there are several, because none takes precedence.
 */
export function findConfig(folder: string): string {
  return onlyOne(folder, listConfigs(folder)) ?? join(folder, 'monocore.toml');
}

/**
 * Path of the config for a command in `folder`: the one in this folder, or else in the nearest folder above it. Configs
 * in folders above count only if they belong to the user or to root, because anybody may put a config, or a link to
 * one, into /tmp. Null if there is none.
 *
 * @throws MonocoreError `ConfigInvalid` if a folder has several
 */
export function findConfigFrom(folder: string, user = process.getuid?.() ?? 0): string | null {
  for (let current = folder; ; current = dirname(current)) {
    const paths = listConfigs(current);
    const trusted =
      current === folder ? paths : paths.filter((path) => ownersOf(path).every((uid) => uid === 0 || uid === user));
    const path = onlyOne(current, trusted);
    if (path !== null) return path;
    if (current === dirname(current)) return null;
  }
}

/** Configs in a folder; none if this user may not list it. */
function listConfigs(folder: string): string[] {
  return EXTENSIONS.map((extension) => join(folder, `monocore${extension}`)).filter((path) => existsSync(path));
}

function onlyOne(folder: string, paths: readonly string[]): string | null {
  const [first = null, second] = paths;
  if (second === undefined) return first;
  const names = paths.map((path) => basename(path));
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  throw fileError(second, `${folder} has several configs: ${list}; name one with the -f option`);
}

/** Owners of a file and, for a link, of the link itself; undefined if the file has disappeared. */
function ownersOf(path: string): (number | undefined)[] {
  return [lstatSync, statSync].map((stat) => stat(path, { throwIfNoEntry: false })?.uid);
}

/** Error that concerns a config as a whole; its message says everything. */
export function fileError(file: string, message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('ConfigInvalid', message, {
    details: [{ file, line: 1, column: 1, length: 1, path: '', message, expected: null, source: '' }],
    cause,
  });
}
