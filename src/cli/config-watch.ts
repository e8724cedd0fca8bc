/** Watch on the config file, for `start --watch`. */
import { statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Time without a change before one is reported: editors write a file in several steps. */
const QUIET_MS = 200;

interface ConfigWatch {
  /** Resolves at the next change, at once if there was one since the last call; false when `signal` has fired. */
  next(): Promise<boolean>;
  close(): void;
}

/**
 * Watches the folder of a file: most editors rename a new file into place, which a watch on the old file would miss. A
 * change of a link's target counts as well. A file that is missing for a moment is a change only when it is back.
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
  // A deleted folder has no more changes; Ctrl-C still ends the wait.
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
      return !signal.aborted;
    },
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** Identity of the file's content, without reading it; null for a missing file. */
function identify(path: string): string | null {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}` : null;
}
