import { listDescriptors } from '../../../src/lib/proc.ts';

/** Counts the descriptors of a process, by default this one, that lead to `dir` or files below. */
export function openFilesBelow(dir: string, pid: number = process.pid): number {
  return listDescriptors(pid).filter(({ target }) => target.startsWith(dir)).length;
}
