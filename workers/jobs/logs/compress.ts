/**
 * Compresses a finished log file. The compressed file gets its name only after it has been written and synced to disk,
 * and the plain file is removed last: after an interruption one of the two is complete, and another run finishes the
 * work.
 */
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { errorCode } from '../../../src/lib/errors.ts';
import { syncPath } from '../../../src/lib/files.ts';
import { COMPRESSED_SUFFIX, UNFINISHED_SUFFIX } from '../../../src/protocol/log-files/names.ts';

/** Mode of log files: shippers run as other users. */
const FILE_MODE = 0o644;

/** Replaces the file at `path` by `<path>.gz`, keeping its modification time. Throws the system error. */
export async function compressLog(path: string): Promise<void> {
  const target = path + COMPRESSED_SUFFIX;
  const unfinished = target + UNFINISHED_SUFFIX;
  // It exists if a run was interrupted between its last two steps.
  if (!existsSync(target) && !(await compressTo(path, unfinished, target))) return;
  await rm(path, { force: true });
}

/** Compresses a file; false if there is nothing to compress. */
async function compressTo(path: string, unfinished: string, target: string): Promise<boolean> {
  try {
    const { atime, mtime } = await stat(path);
    // `flush` calls fsync before closing.
    const output = createWriteStream(unfinished, { mode: FILE_MODE, flush: true });
    await pipeline(createReadStream(path), createGzip(), output);
    await chmod(unfinished, FILE_MODE);
    await utimes(unfinished, atime, mtime);
    // A file that was removed meanwhile must not reappear under another name.
    if (!existsSync(path)) return false;
    await rename(unfinished, target);
    await syncPath(dirname(path));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && !existsSync(path)) return false;
    throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
}
