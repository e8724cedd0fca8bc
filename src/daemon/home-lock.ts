/** Lock of a home: only one daemon may run in it. */
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import { findHolder, lockFile, type Unlock } from '../lib/file-lock.ts';
import type { HomePaths } from '../state/paths.ts';

/**
 * Takes the lock of an existing home.
 *
 * @throws MonocoreError `DaemonRunning` if another process holds it, `HomeUnusable` if it cannot be taken
 */
export async function lockHome({ home, lock }: HomePaths): Promise<Unlock> {
  let unlock: Unlock | null;
  try {
    unlock = await lockFile(lock, null);
  } catch (cause) {
    const hint = errorCode(cause) === 'EACCES' ? '; another user has used this home: choose another with --home' : '';
    throw new MonocoreError('HomeUnusable', `${lock} cannot be locked: ${errorText(cause)}${hint}`, { cause });
  }
  if (unlock) return unlock;
  const holder = findHolder(lock);
  const reason = `${holder === null ? 'another process' : `process ${holder}`} has its lock`;
  const message = `a monocore daemon is already running for the home ${home}: ${reason}; process ${process.pid} exits`;
  throw new MonocoreError('DaemonRunning', `${message}; to replace it: monocore daemon restart`);
}
