/** Creation of folders. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../lib/errors.ts';

/**
 * Creates a folder and its missing parents. Node's mkdir with `recursive` loops forever below /proc (seen in 20.20),
 * where existing folders accept no entries.
 *
 * @param path absolute
 * @param mode of the created folders, independent of the umask: shippers read logs as other users
 * @throws the system error
 */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let dir = path; !isFolder(dir); dir = dirname(dir)) missing.push(dir);
  for (const dir of missing.reverse()) {
    try {
      mkdirSync(dir, { mode });
      chmodSync(dir, mode);
    } catch (error) {
      // Another process may have created it meanwhile.
      if (errorCode(error) !== 'EEXIST' || !isFolder(dir)) throw error;
    }
  }
}

/**
 * Creates a folder like {@link makeFolder}; from an existing folder of this user removes permissions that `mode` does
 * not grant: an earlier version, a copy or a permissive umask may have added them.
 *
 * @throws the system error
 */
export function makePrivateFolder(path: string, mode: number): void {
  makeFolder(path, mode);
  const { uid, mode: found } = statSync(path);
  if (uid === process.geteuid?.() && (found & 0o777 & ~mode) !== 0) chmodSync(path, found & mode);
}

/** True for a folder. Throws the system error if the path cannot be examined. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
