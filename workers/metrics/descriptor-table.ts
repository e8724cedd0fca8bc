/** Grows the descriptor table before dozens of services need it. */
import { closeSync, openSync } from 'node:fs';
import { readOpenFilesLimit } from '../../src/lib/proc.ts';

/** Number of slots: enough for about two hundred services; each slot takes 8 bytes. */
const SLOTS = 2048;
/** Descriptors left free for other threads in the meantime. */
const SPARE = 256;

/**
 * Grows the descriptor table of this process to {@link SLOTS}. Linux doubles a full table, and if threads share it
 * (`expand_fdtable` in fs/file.c), the opening thread waits for a grace period of all processors: 5 to 20 ms each time,
 * on the main thread during a start. A table never shrinks, so this thread fills it once and waits instead. Does
 * nothing if the limit (RLIMIT_NOFILE) is too low.
 */
export function growDescriptorTable(): void {
  const opened: number[] = [];
  try {
    // The descriptor numbered half the slots is the first for which the table must grow to all of them.
    const last = Math.min(SLOTS / 2, readOpenFilesLimit().soft - SPARE);
    while ((opened.at(-1) ?? 0) < last) opened.push(openSync('/dev/null', 'r'));
  } catch {
    // The host has no more of them. Nothing depends on this.
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
