/** Folders on disk. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../lib/errors.ts';

/**
 * Makes a folder and its missing parents. Node's mkdir with `recursive` loops forever below /proc (seen in 20.20), where an
 * existing folder accepts no entries.
 *
 * @param path absolute
 * @param mode mode of the folders that are made, whatever the umask: shippers read logs as users of their own
 * @throws the system's error
 */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let dir = path; !isFolder(dir); dir = dirname(dir)) missing.push(dir);
  for (const dir of missing.reverse()) {
    try {
      mkdirSync(dir, { mode });
      chmodSync(dir, mode);
    } catch (error) {
      // Another process may have made it meanwhile.
      if (errorCode(error) !== 'EEXIST' || !isFolder(dir)) throw error;
    }
  }
}

/**
 * Makes a folder as {@link makeFolder} does, and takes from an existing one of this user what `mode` does not grant: an
 * earlier version, a copy or a wide umask may have made it.
 *
 * @throws the system's error
 */
export function makePrivateFolder(path: string, mode: number): void {
  makeFolder(path, mode);
  const { uid, mode: found } = statSync(path);
  if (uid === process.geteuid?.() && (found & 0o777 & ~mode) !== 0) chmodSync(path, found & mode);
}

/** Throws the system's error for a path that cannot be examined. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
