/**
 * Lock of an image store: only one job at a time changes it, in any process, so that a removal never deletes what a
 * pull has just fetched. Reading needs no lock, because every file is written under a temporary name and then renamed.
 */
import { lockFile, type Unlock } from '../../../src/lib/file-lock.ts';
import type { ImagePaths } from '../../../src/state/paths.ts';

/**
 * Takes the lock of a store whose folder exists.
 *
 * @param onWait called once if another process holds the lock
 * @returns a function that releases the lock
 * @throws the signal's reason, the system error
 */
export async function lockStore({ lock }: ImagePaths, signal: AbortSignal, onWait: () => void): Promise<Unlock> {
  signal.throwIfAborted();
  const unlock = await lockFile(lock, null);
  if (unlock) return unlock;
  onWait();
  return (await lockFile(lock, signal))!;
}
