/** Descriptors of a process of the host, and their limit. */
import { execFileSync } from 'node:child_process';
import { listDescriptors, readProcessFile } from '../../src/lib/proc.ts';

/**
 * RLIMIT_NOFILE with which a process can open `spare` files more, setrlimit(2): the limit is on numbers, and the kernel
 * takes the lowest free one.
 *
 * @param open numbers of the open descriptors
 */
export function limitFor(open: readonly number[], spare: number): number {
  const taken = new Set(open);
  let limit = 0;
  for (let free = 0; free <= spare; limit += 1) if (!taken.has(limit)) free += 1;
  return limit - 1;
}

/** Lets a process open only so many files more. Returns an undo; null when it has ended. */
export function starve(pid: number, spare: number): (() => void) | null {
  const [, before] = /^Max open files\s+(\w+)/m.exec(readProcessFile(pid, 'limits') ?? '') ?? [];
  const open = listDescriptors(pid).map(({ fd }) => fd);
  if (before === undefined || !setSoftLimit(pid, String(limitFor(open, spare)))) return null;
  return () => void setSoftLimit(pid, before);
}

/** False when there is no such process. */
function setSoftLimit(pid: number, limit: string): boolean {
  try {
    execFileSync('prlimit', [`--pid=${pid}`, `--nofile=${limit}:`], { stdio: 'pipe' });
    return true;
  } catch (error) {
    if (readProcessFile(pid, 'limits') === null) return false;
    throw error;
  }
}
