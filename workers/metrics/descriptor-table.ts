/** Growth of the table of descriptors before dozens of services need it. */
import { closeSync, openSync } from 'node:fs';
import { readOpenFilesLimit } from '../../src/lib/proc.ts';

/** Enough for some two hundred services; each slot is 8 bytes. */
const SLOTS = 2048;
/** Descriptors that stay free for the other threads meanwhile. */
const SPARE = 256;

/**
 * Grows this process's table of descriptors to {@link SLOTS}. Linux doubles a full table, and where threads share it
 * (`expand_fdtable` in fs/file.c) the opening thread waits for a grace period of all processors: 5 to 20 ms each time, on
 * the main thread in the middle of a start. A table never shrinks, so this thread fills it once and waits instead. Does
 * nothing where the limit (RLIMIT_NOFILE) is too low.
 */
export function growDescriptorTable(): void {
  const opened: number[] = [];
  try {
    // The descriptor with the number of half the slots is the first that needs all of them.
    const last = Math.min(SLOTS / 2, readOpenFilesLimit().soft - SPARE);
    while ((opened.at(-1) ?? 0) < last) opened.push(openSync('/dev/null', 'r'));
  } catch {
    // The host has no more of them. Nothing depends on it.
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
