/** Names of config files, and the one that a command means. Apart from the loader, which takes long to load. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MonocoreError } from '../lib/errors.ts';

export const EXTENSIONS: readonly string[] = ['.toml', '.yaml', '.yml', '.json'];

/**
 * Path of the file in a folder that is named `monocore` and has a known extension; `monocore.toml` where there is none.
 * Throws `ConfigInvalid` where there are several, because none of them takes precedence.
 */
export function findConfig(folder: string): string {
  const found = EXTENSIONS.map((extension) => join(folder, `monocore${extension}`)).filter((path) => existsSync(path));
  const [first, second] = found;
  if (second === undefined) return first ?? join(folder, 'monocore.toml');
  const names = found.map((path) => basename(path));
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  throw fileError(second, `${folder} has several configs: ${list}; name one with the -f option`);
}

/**
 * Path of the config that a command in `folder` means: the one of this folder, else of the nearest folder above it. Those
 * above count only if they belong to the user or to root: anybody may put a config into /tmp. Null where there is none.
 *
 * @throws MonocoreError `ConfigInvalid` where a folder has several
 */
export function findConfigFrom(folder: string, user = process.getuid?.() ?? 0): string | null {
  for (let current = folder; ; current = dirname(current)) {
    const path = findConfig(current);
    const owner = ownerOf(path);
    if (owner !== undefined && (current === folder || [0, user].includes(owner))) return path;
    if (current === dirname(current)) return null;
  }
}

/** Undefined where there is no such file, or where this user may not look for it. */
function ownerOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.uid;
  } catch {
    return undefined;
  }
}

/** The error of a config as a whole; its message says everything. */
export function fileError(file: string, message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('ConfigInvalid', message, {
    details: [{ file, line: 1, column: 1, length: 1, path: '', message, expected: null, source: '' }],
    cause,
  });
}
