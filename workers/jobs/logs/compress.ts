/**
 * Compresses a finished log file. The compressed file is written aside and synchronized to the disk before it gets its
 * name, and only then the other one goes: whenever it is cut off, one of the two is whole, and doing it again ends it.
 */
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { errorCode } from '../../../src/lib/errors.ts';
import { COMPRESSED_SUFFIX, UNFINISHED_SUFFIX } from '../../../src/protocol/log-files/names.ts';

/** As that of the file: shippers run as users of their own. */
const FILE_MODE = 0o644;

/** Makes `<path>.gz` of the file at `path`, with its time of modification. Throws the system's error. */
export async function compressLog(path: string): Promise<void> {
  const target = path + COMPRESSED_SUFFIX;
  const unfinished = target + UNFINISHED_SUFFIX;
  // Cut off between its last two steps.
  if (!existsSync(target) && !(await compressTo(path, unfinished, target))) return;
  await rm(path, { force: true });
}

/** False when there is nothing to compress. */
async function compressTo(path: string, unfinished: string, target: string): Promise<boolean> {
  try {
    const { atime, mtime } = await stat(path);
    // `flush` is an fsync before it is closed.
    const output = createWriteStream(unfinished, { mode: FILE_MODE, flush: true });
    await pipeline(createReadStream(path), createGzip(), output);
    await chmod(unfinished, FILE_MODE);
    await utimes(unfinished, atime, mtime);
    // Removed meanwhile: it is not to come back under another name.
    if (!existsSync(path)) return false;
    await rename(unfinished, target);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && !existsSync(path)) return false;
    throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
