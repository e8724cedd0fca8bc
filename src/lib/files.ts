/** Helpers for files that must survive a power cut. */
import { open } from 'node:fs/promises';

/** Syncs a file or folder: a rename survives a power cut only once its folder is on disk, see fsync(2). */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
