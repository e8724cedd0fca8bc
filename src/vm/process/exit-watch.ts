/** Watches the exit record that a shim writes. */
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import type { VmPaths } from '../../state/paths.ts';
import { type ExitRecord, ExitRecordFile } from '../host/exit-record.ts';

/** Interval of polling if the host has no watches left (`fs.inotify.max_user_watches`). */
const POLL_INTERVAL_MS = 250;

/**
 * Calls `onRecord` with the record whenever it may have changed, but never before this returns. The watch does not keep
 * the process alive: services outlive their daemon. Main thread.
 *
 * @returns a function that ends the watch after a last check
 */
export function watchRecord(paths: VmPaths, onRecord: (record: ExitRecord) => void): () => void {
  const record = new ExitRecordFile(paths.exitRecord);
  let watcher: FSWatcher | null = null;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    try {
      onRecord(record.read());
    } catch {
      poll(); // For example, no descriptor was free.
    }
  };
  const poll = (): void => {
    timer ??= setInterval(look, POLL_INTERVAL_MS).unref();
  };
  try {
    watcher = watch(paths.dir, { persistent: false }, (_change, file) => {
      if (file === basename(paths.exitRecord)) look();
      // A deleted folder reports no more events, but an open record can still be read.
      else if (!existsSync(paths.dir)) poll();
    });
    watcher.once('error', poll);
  } catch {
    poll();
  }
  // It may have been written before the watch began.
  const first = setImmediate(look);
  return () => {
    watcher?.close();
    clearInterval(timer);
    clearImmediate(first);
    onRecord(record.read());
    record.close();
  };
}
