/** Makes folders. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../lib/errors.ts';

/**
 * Makes a folder and those above it that are missing. Not with `recursive` of mkdir in Node (seen in 20.20), which
 * tries for ever below /proc: there a folder that exists has room for none.
 *
 * @param path absolute
 * @param mode of those that are made
 * @throws the system's error
 */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let dir = path; !isFolder(dir); dir = dirname(dir)) missing.push(dir);
  for (const dir of missing.reverse()) makeOne(dir, mode);
}

function makeOne(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (errorCode(error) !== 'EEXIST' || !isFolder(path)) throw error;
  }
}

/** Throws the system's error for a path that cannot be looked at. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
