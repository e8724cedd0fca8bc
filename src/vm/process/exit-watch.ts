/** Watch for changes of a shim's exit record. */
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import type { VmPaths } from '../../state/paths.ts';

/** Interval of polling where the host has no watches left (`fs.inotify.max_user_watches`). */
const POLL_INTERVAL_MS = 250;

/**
 * Calls `onChange` when the record may have changed, and again a little later if that throws; never before this returns.
 * Main thread.
 *
 * @returns stops the watch
 */
export function watchRecord(paths: VmPaths, onChange: () => void): () => void {
  let watcher: FSWatcher | null = null;
  let timer: NodeJS.Timeout | null = null;
  const look = (): void => {
    try {
      onChange();
    } catch {
      poll(); // For example, no descriptor was free.
    }
  };
  const poll = (): void => {
    timer ??= setInterval(look, POLL_INTERVAL_MS);
  };
  try {
    watcher = watch(paths.dir, (_change, file) => {
      if (file === basename(paths.exitRecord)) look();
      // A deleted folder has no more events, but an open record can still be read.
      else if (!existsSync(paths.dir)) poll();
    });
    watcher.once('error', poll);
  } catch {
    poll();
  }
  return () => {
    watcher?.close();
    if (timer) clearInterval(timer);
  };
}
