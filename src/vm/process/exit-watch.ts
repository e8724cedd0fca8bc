/** Notices that a shim wrote to its exit record. */
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import type { VmPaths } from '../../state/paths.ts';

/** Where the host gives no more watches (`fs.inotify.max_user_watches`), the record is looked at this often. */
const POLL_INTERVAL_MS = 250;

/**
 * Calls `onChange` when the record may have changed, and again a little later if that throws; never before this returns.
 * Main thread.
 *
 * @returns ends it
 */
export function watchRecord(paths: VmPaths, onChange: () => void): () => void {
  let watcher: FSWatcher | null = null;
  let timer: NodeJS.Timeout | null = null;
  const look = (): void => {
    try {
      onChange();
    } catch {
      poll(); // No descriptor was free, for example.
    }
  };
  const poll = (): void => {
    timer ??= setInterval(look, POLL_INTERVAL_MS);
  };
  try {
    watcher = watch(paths.dir, (_change, file) => {
      if (file === basename(paths.exitRecord)) look();
      // A folder that was deleted is watched in vain; who has the record open can go on reading it.
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
