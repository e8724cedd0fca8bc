/** Resources and children of a process, which only tests and benchmarks ask for. */
import { readdirSync } from 'node:fs';
import { errorCode } from '../../../src/lib/errors.ts';
import { readProcessFile, readStat, TICKS_PER_SECOND } from '../../../src/lib/proc.ts';

/** CPU time of all threads of a process so far, milliseconds; 0 when there is no such process. */
export function readCpuMs(pid: number): number {
  return ((readStat(pid)?.cpuTicks ?? 0) * 1000) / TICKS_PER_SECOND;
}

/** Resident memory, bytes; 0 of a zombie and when there is no such process. */
export function readResidentBytes(pid: number): number {
  const [, kib = 0] = /^VmRSS:\s+(\d+) kB$/m.exec(readProcessFile(pid, 'status') ?? '') ?? [];
  return Number(kib) * 1024;
}

/** Children of all threads of a process; none when it has ended. */
export function listChildren(pid: number): number[] {
  try {
    const lists = readdirSync(`/proc/${pid}/task`).map((task) => readProcessFile(pid, `task/${task}/children`) ?? '');
    return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return [];
    throw error;
  }
}
