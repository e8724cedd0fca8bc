/** Processes by the text of their arguments, for tests that put it there. */
import { listPids, readProcessFile } from '../../../src/lib/proc.ts';

/** Arguments of a process, each with a NUL behind it; empty when it has ended. */
export function readCommandLine(pid: number): string {
  return readProcessFile(pid, 'cmdline') ?? '';
}

/** Command lines of all processes that mention `text`. */
export function findProcesses(mention: string): { pid: number; commandLine: string }[] {
  return listPids()
    .map((pid) => ({ pid, commandLine: readCommandLine(pid).replaceAll('\0', ' ') }))
    .filter(({ commandLine }) => commandLine.includes(mention));
}
