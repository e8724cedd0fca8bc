/** Files that are valid at every instant, because each is written aside and takes its name when it is whole. */
import fs from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';

// Numbers: the objects that node:fs/promises makes of them cost more than the rest of a write.
const open = promisify(fs.open);
const writeFile = promisify(fs.writeFile);
const fsync = promisify(fs.fsync);
const close = promisify(fs.close);

/** How a file is written. */
export interface AtomicWriteOptions {
  readonly mode: number;
  /** Whether the content is on disk when the write resolves, see fsync(2). */
  readonly durable: boolean;
}

/**
 * Writes a file; a reader sees the old content or the new one, never part of it. One call at a time for each path.
 * Throws the system's error; the old content stays then.
 *
 * By hand, because each start waits for it several times: write-file-atomic looks up every folder of the path, and owner
 * and mode of a file that is only ever ours, which took as long as the write.
 */
export async function writeAtomically(
  path: string,
  text: string,
  { mode, durable }: AtomicWriteOptions,
): Promise<void> {
  const aside = asideOf(path);
  try {
    const fd = await open(aside, 'w', mode);
    try {
      await writeFile(fd, text);
      if (durable) await fsync(fd);
    } finally {
      await close(fd);
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {});
    throw error;
  }
}

/** Where a file is written before it takes its name; what a crash leaves there is overwritten by the next write. */
export function asideOf(path: string): string {
  return `${path}.tmp`;
}
