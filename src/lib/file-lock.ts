/** Locks on files and their folders, which the kernel releases however their process ends. Any thread. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, fchmodSync, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import { errorTextWithPath, MonocoreError } from './errors.ts';
import { findLockHolder } from './proc.ts';

/** Helper program, part of the package, see file-lock/flock.c. */
const PROGRAM = fileURLToPath(new URL(`./file-lock/${process.arch}/monocore-flock`, import.meta.url));

/** Exit code of the program if another process holds the lock. */
const TAKEN = 1;

/** Releases the lock. */
export type Unlock = () => void;

/**
 * Takes an exclusive flock(2) on a file with mode 0600, which is created if missing. Only this user and root can open the
 * file, so nobody else can take the lock. Unlike the name of a socket, it is the same in every network namespace.
 *
 * Also locks the folder of the file, which must exist: a lock file that somebody deleted keeps nobody out. Any user who can
 * read the folder can lock it, so a lock on it counts only if root or its owner holds it.
 *
 * @param wait null to give up at once if another process holds the lock; a signal to wait until it is free or the
 * signal aborts
 * @returns null if another process holds the lock
 * @throws the system error if the file cannot be opened; MonocoreError `HomeUnusable` if it cannot be locked; the
 * reason of the signal
 */
export async function lockFile(path: string, wait: AbortSignal | null): Promise<Unlock | null> {
  for (;;) {
    const file = await lockOpen(openLockFile(path), wait);
    if (file === null) return null;
    if (isAt(path, file)) return await lockFolderOf(path, file, wait);
    // The file was deleted in the meantime: another process may have locked the file that is there now.
    closeSync(file);
  }
}

/** Also locks the folder of a locked file, or releases the file. */
async function lockFolderOf(path: string, file: number, wait: AbortSignal | null): Promise<Unlock | null> {
  const dir = dirname(path);
  try {
    let folder = await lockOpen(openFolder(dir), null);
    if (folder === null && findHolderOf(realpathSync(dir)) !== null) {
      folder = wait && (await lockOpen(openFolder(dir), wait));
      if (folder === null) {
        closeSync(file);
        return null;
      }
    }
    return () => {
      if (folder !== null) closeSync(folder);
      closeSync(file);
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Pid of the process that holds the lock on a file or its folder; null if it is unknown. */
export function findHolder(path: string): number | null {
  const dir = realpathSync(dirname(path));
  return findHolderOf(join(dir, basename(path))) ?? findHolderOf(dir);
}

/** @param path file or folder, without links */
function findHolderOf(path: string): number | null {
  const owner = statSync(path, { throwIfNoEntry: false })?.uid;
  return owner === undefined ? null : findLockHolder(path, [0, owner, process.geteuid?.() ?? owner]);
}

/** Locks a descriptor and returns it. Closes it and returns null if another process holds the lock. */
async function lockOpen(fd: number, wait: AbortSignal | null): Promise<number | null> {
  try {
    wait?.throwIfAborted();
    if (await lockDescriptor(fd, wait)) return fd;
    closeSync(fd);
    return null;
  } catch (error) {
    closeSync(fd);
    wait?.throwIfAborted();
    throw error;
  }
}

function openFolder(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

function openLockFile(path: string): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const { uid, mode } = fstatSync(fd);
    // A copied home may have different modes.
    if (uid === process.geteuid?.() && (mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isAt(path: string, fd: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  const own = fstatSync(fd);
  return found !== undefined && found.dev === own.dev && found.ino === own.ino;
}

/** Returns false if another process holds the lock. */
async function lockDescriptor(fd: number, wait: AbortSignal | null): Promise<boolean> {
  const options = wait ? { signal: wait, killSignal: 'SIGKILL' as const } : {};
  const child = spawn(PROGRAM, wait ? ['wait'] : [], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
    env: {},
    ...options,
  });
  const [code, signal] = (await once(child, 'exit').catch((cause: unknown) => {
    throw new MonocoreError('HomeUnusable', `the lock cannot be taken: ${errorTextWithPath(cause)}`, { cause });
  })) as [number | null, NodeJS.Signals | null];
  if (code === 0) return true;
  if (code === TAKEN && wait === null) return false;
  const reason = code === null ? signal : (getSystemErrorMap().get(-code)?.[1] ?? `error ${code}`);
  throw new MonocoreError('HomeUnusable', `the lock cannot be taken: ${reason}`);
}
