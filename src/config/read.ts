/** The config file as text. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import { EXTENSIONS } from './languages/document.ts';

/** Largest config that is read: a hand-written one has a few KiB, and a wrong `-f` may name anything. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * The text of a config file, without byte order mark. Throws `ConfigInvalid` with one problem at line 1, column 1 for
 * whatever is not a readable file in UTF-8 with an
 * extension that is known. CLI process and library.
 */
export async function readConfigText(file: string): Promise<string> {
  const bytes = await readBytes(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(file, 'is not UTF-8 text', 'a file in UTF-8');
  }
}

/** Names of configs that are found without being named. */
const CONFIG_NAMES = EXTENSIONS.map((extension) => `monocore${extension}`);

/**
 * The config of a folder: the one file there that is named `monocore` and has a known extension. Where there is none, the
 * path of the one that would be first. Throws `ConfigInvalid` where there are several: none of them is meant more than
 * another one.
 */
export function findConfig(folder: string): string {
  const found = CONFIG_NAMES.map((name) => join(folder, name)).filter((path) => existsSync(path));
  const [first, second] = found;
  if (second === undefined) return first ?? join(folder, CONFIG_NAMES[0]!);
  const names = found.map((path) => basename(path));
  throw unreadable(
    second,
    `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are here; name one with the -f option`,
    null,
  );
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) throw unreadable(file, 'is a directory', `a file such as ${join(file, 'monocore.toml')}`);
    if (!EXTENSIONS.includes(extname(file))) {
      throw unreadable(file, 'has no extension of a config', `a file that ends in ${EXTENSIONS.join(', ')}`);
    }
    // Reading a FIFO or a device could wait for ever.
    if (!found.isFile()) throw unreadable(file, 'is not a regular file', 'a file');
    if (found.size > MAX_CONFIG_BYTES) throw unreadable(file, 'is larger than 1 MiB', 'a config');
    return await readFile(file);
  } catch (error) {
    if (error instanceof MonocoreError) throw error;
    throw fromSystem(file, error);
  }
}

function fromSystem(file: string, error: unknown): MonocoreError {
  const hint = 'name another file with the -f option';
  const missing = file === basename(file) ? `there is no ${file} here` : 'there is no such file';
  switch (errorCode(error)) {
    case 'ENOENT':
      return unreadable(file, `${missing}; ${hint}, or write a first one with monocore init`, null, error);
    case 'EACCES':
    case 'EPERM':
      return unreadable(file, 'you may not read this file', 'read permission on it and its folders', error);
    default:
      return unreadable(file, `${errorText(error)}; ${hint}`, null, error);
  }
}

function unreadable(file: string, message: string, expected: string | null, cause?: unknown): MonocoreError {
  return new MonocoreError('ConfigInvalid', `${file} cannot be read: ${message}; nothing was started`, {
    details: [{ file, line: 1, column: 1, length: 1, path: '', message, expected, source: '' }],
    cause,
  });
}
