/** Watch on the files of a config, for `start --watch`. */
import { type FSWatcher, readlinkSync, realpathSync, type Stats, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Time without a change before one is reported: editors write a file in several steps. */
const QUIET_MS = 200;
/** Most links that the kernel follows for one path, see path_resolution(7). */
const MAX_LINKS = 40;

interface FileWatch {
  /** Resolves at the next change, at once if there was one since the last call; false when `signal` has fired. */
  next(): Promise<boolean>;
  /** Replaces the files; a change of a file that stays is not lost. */
  setFiles(paths: readonly string[]): void;
  close(): void;
}

/**
 * Watches files by their folders: most editors rename a new file into place, which a watch on the old file would miss. The
 * folder of each link on the way to a file is watched, too. A file that is missing for a moment is a change only when it is
 * back; one that was missing all the time is a change when it appears.
 *
 * @param paths absolute
 */
export function watchFiles(paths: readonly string[], signal: AbortSignal): FileWatch {
  const known = new Map<string, string | null>();
  /** By folder and inode: a watch stays on a folder that was replaced. */
  const watchers = new Map<string, FSWatcher>();
  let isChanged = false;
  let timer: NodeJS.Timeout | undefined;
  let wake = (): void => {};

  const look = (): void => {
    for (const [path, before] of known) {
      const now = identify(path);
      if (now === null || now === before) continue;
      known.set(path, now);
      isChanged = true;
    }
    watchFolders();
    if (isChanged) wake();
  };
  /** Links may have got other targets, and folders may be back. */
  const watchFolders = (): void => {
    const folders = new Map([...known.keys()].flatMap(foldersOf).map((folder) => [keyOf(folder), folder]));
    for (const [key, watcher] of watchers) if (!folders.has(key)) closeWatcher(key, watcher);
    for (const [key, folder] of folders) {
      if (watchers.has(key)) continue;
      try {
        const watcher = watch(folder, () => {
          clearTimeout(timer);
          timer = setTimeout(look, QUIET_MS);
        });
        // A deleted folder has no more changes; Ctrl-C still ends the wait.
        watcher.on('error', () => closeWatcher(key, watcher));
        watchers.set(key, watcher);
      } catch {
        // It is missing. The next change in another folder looks for it again.
      }
    }
  };
  const closeWatcher = (key: string, watcher: FSWatcher): void => {
    watcher.close();
    watchers.delete(key);
  };
  const setFiles = (files: readonly string[]): void => {
    for (const path of known.keys()) if (!files.includes(path)) known.delete(path);
    for (const path of files) if (!known.has(path)) known.set(path, identify(path));
    watchFolders();
  };

  setFiles(paths);
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    async next() {
      while (!isChanged && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      isChanged = false;
      return !signal.aborted;
    },
    setFiles,
    close() {
      clearTimeout(timer);
      for (const [key, watcher] of watchers) closeWatcher(key, watcher);
    },
  };
}

/** Folders whose changes may be changes of the file: its own, those of the links to it, and where it really is. */
function foldersOf(path: string): string[] {
  const folders = [dirname(path)];
  try {
    for (let link = path, count = 0; count < MAX_LINKS; count += 1) {
      link = resolve(dirname(link), readlinkSync(link));
      folders.push(dirname(link));
    }
  } catch {
    // No link, or none any more.
  }
  try {
    folders.push(dirname(realpathSync(path)));
  } catch {
    // A missing file has no other place.
  }
  return folders;
}

function keyOf(folder: string): string {
  return `${statOf(folder)?.ino} ${folder}`;
}

/** Identity of the file's content, without reading it; null for a missing file. */
function identify(path: string): string | null {
  const stats = statOf(path);
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}` : null;
}

/** Undefined for a missing file, and for one in a folder that this user may no longer enter. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
