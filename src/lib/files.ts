/** Helpers for files: reads with a bound, writes that survive a power cut, and folders that nobody keeps. */
import { constants, mkdtempSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { errorCode, MonocoreError } from './errors.ts';
import { formatSize } from './units.ts';

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

/**
 * Reads a file that others may have damaged, as UTF-8.
 *
 * @throws the system's error; MonocoreError `Internal` for a file with more than `maxBytes`
 */
export async function readBounded(path: string, maxBytes: number): Promise<string> {
  // Opening a FIFO must not wait for its other end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // A file may grow meanwhile: at most one byte more than allowed is read.
    const bytes = await buffer(file.createReadStream({ end: maxBytes, autoClose: false })).catch((error: Error) => {
      // An error of a read, for example of a folder, does not name the file.
      throw Object.assign(error, { path });
    });
    if (bytes.length <= maxBytes) return bytes.toString();
    throw new MonocoreError('Internal', `${path} has more than ${formatSize(maxBytes)}`);
  } finally {
    await file.close();
  }
}
