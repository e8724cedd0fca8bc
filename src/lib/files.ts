/** File helpers: bounded reads, writes that survive a power failure, and temporary folders. */
import { constants, mkdtempSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { errorCode, MonocoreError } from './errors.ts';
import { formatSize } from './units.ts';

/** Syncs a file or folder: a rename survives a power failure only once its folder is on disk, see fsync(2). */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Creates a folder in `TMPDIR`, which the caller must remove.
 *
 * @param instead existing folder to use if `TMPDIR` does not exist or is not writable
 * @throws the system error
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
 * Reads a file as UTF-8; the file may be damaged.
 *
 * @throws the system error; MonocoreError `Internal` for a file with more than `maxBytes`
 */
export async function readBounded(path: string, maxBytes: number): Promise<string> {
  // Without O_NONBLOCK, opening a FIFO would wait for its other end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // The file may grow meanwhile: read at most one byte more than allowed.
    const bytes = await buffer(file.createReadStream({ end: maxBytes, autoClose: false })).catch((error: Error) => {
      // A read error, for example of a folder, does not name the file.
      throw Object.assign(error, { path });
    });
    if (bytes.length <= maxBytes) return bytes.toString();
    throw new MonocoreError('Internal', `${path} has more than ${formatSize(maxBytes)}`);
  } finally {
    await file.close();
  }
}
