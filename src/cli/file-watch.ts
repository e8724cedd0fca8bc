/** Watches the files of a config, for `start --watch`. */
import { type FSWatcher, readlinkSync, realpathSync, type Stats, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Quiet time before a change is reported: editors write a file in several steps. */
const QUIET_MS = 200;
/** Maximum number of links that the kernel follows in one path, see path_resolution(7). */
const MAX_LINKS = 40;

interface FileWatch {
  /**
   * Resolves at the next change, or at once if there has been one since the last call; false when `signal` has fired.
   */
  next(): Promise<boolean>;
  /** Replaces the watched files; a change of a file that stays watched is not lost. */
  setFiles(paths: readonly string[]): void;
  close(): void;
}

/**
 * Watches files through their folders: most editors rename a new file into place, which a watch on the old file would
 * miss. The folder of each link on the way to a file is watched, too. A file that disappears for a moment counts as
 * changed only once it is back; a file that did not exist counts as changed when it appears.
 *
 * @param paths absolute
 */
export function watchFiles(paths: readonly string[], signal: AbortSignal): FileWatch {
  const known = new Map<string, string | null>();
  /** Watches by folder and inode, because a watch stays on the old inode when a folder is replaced. */
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
  /** Updates the watched folders: links may have new targets, and folders may have reappeared. */
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
        // A deleted folder reports no more changes; Ctrl-C still ends the wait.
        watcher.on('error', () => closeWatcher(key, watcher));
        watchers.set(key, watcher);
      } catch {
        // The folder is missing. The next change in another folder retries.
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

/** Folders in which a change may affect the file: its own, those of the links to it, and that of its target. */
function foldersOf(path: string): string[] {
  const folders = [dirname(path)];
  try {
    for (let link = path, count = 0; count < MAX_LINKS; count += 1) {
      link = resolve(dirname(link), readlinkSync(link));
      folders.push(dirname(link));
    }
  } catch {
    // Not a link, or no longer one.
  }
  try {
    folders.push(dirname(realpathSync(path)));
  } catch {
    // A missing file has no target.
  }
  return folders;
}

function keyOf(folder: string): string {
  return `${statOf(folder)?.ino} ${folder}`;
}

/** Identity of the file's content, found without reading it; null for a missing file. */
function identify(path: string): string | null {
  const stats = statOf(path);
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}` : null;
}

/** Undefined for a missing file and for one in a folder that this user may not enter. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
