/** Modes of files. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names of what others than the owner may read, write or enter in a folder. @param recursive true: also below it */
export function findShared(dir: string, recursive = false): string[] {
  const names = readdirSync(dir, { recursive, encoding: 'utf8' });
  return names.filter((name) => {
    const stats = lstatSync(join(dir, name));
    return !stats.isSymbolicLink() && (stats.mode & 0o077) !== 0;
  });
}
