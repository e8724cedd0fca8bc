import { listDescriptors } from '../../../src/lib/proc.ts';

/** Counts the descriptors of a process, by default this one, that refer to `dir` or files below it. */
export function openFilesBelow(dir: string, pid: number | 'self' = 'self'): number {
  return listDescriptors(pid).filter(({ target }) => target.startsWith(dir)).length;
}
