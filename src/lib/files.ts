/** Helpers for files that must survive a power cut, and for those that nobody keeps. */
import { mkdtempSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from './errors.ts';

/** Syncs a file or folder: a rename survives a power cut only once its folder is on disk, see fsync(2). */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Makes a folder in `TMPDIR`, for the caller to remove.
 *
 * @param instead existing folder for a `TMPDIR` that does not exist or cannot be written
 * @throws the system's error
 */
export function makeTempFolder(prefix: string, instead: string): string {
  try {
    return mkdtempSync(join(tmpdir(), prefix));
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'EACCES', 'EROFS'].includes(errorCode(error) ?? '')) throw error;
    return mkdtempSync(join(instead, prefix));
  }
}
