/** Files that are valid at every instant, because each is written aside and takes its name when it is whole. */
import { open, rename, rm } from 'node:fs/promises';

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
    const file = await open(aside, 'w', mode);
    try {
      await file.writeFile(text);
      if (durable) await file.sync();
    } finally {
      await file.close();
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
