/** Notices changes of a config. */
import { type Stats, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Editors write a file in several steps; the change is told when there was none for so long. */
const QUIET_MS = 200;

/** A watch that is under way. */
export interface ConfigWatch {
  /** Resolves after the next change, or null when `signal` has fired. What changed before it was asked counts, too. */
  next(): Promise<'changed' | null>;
  close(): void;
}

/**
 * Watches a file by its folder: most editors write a new file and rename it, and a watch of the old one would see
 * nothing more. What matters is what the path leads to, so a link that is turned counts as well. A file that is gone
 * for a moment is no change until it is back.
 *
 * @throws the system's error when the folder cannot be watched
 */
export function watchConfig(path: string, signal: AbortSignal): ConfigWatch {
  let known = identify(path);
  let isChanged = false;
  let timer: NodeJS.Timeout | undefined;
  let wake = (): void => {};
  const look = (): void => {
    const now = identify(path);
    if (now === null || now === known) return;
    known = now;
    isChanged = true;
    wake();
  };
  const watcher = watch(dirname(path), () => {
    clearTimeout(timer);
    timer = setTimeout(look, QUIET_MS);
  });
  // A folder that vanishes has no changes any more; Ctrl-C still ends the wait.
  watcher.on('error', () => {});
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    async next() {
      while (!isChanged && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      isChanged = false;
      return signal.aborted ? null : 'changed';
    },
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** What tells one content of a path from another without reading it; null where there is none. */
function identify(path: string): string | null {
  const stats: Stats | undefined = statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}` : null;
}
