/** RLIMIT_NOFILE: how many files a process may have open. */
import { readFileSync } from 'node:fs';

/** What a service gets. */
export interface OpenFiles {
  /** For soft and hard limit alike; null leaves the daemon's. */
  readonly count: number | null;
  /** Why that is not what was asked for, for people; null when it is. */
  readonly note: string | null;
}

/** The daemon's own hard limit, see "/proc/pid/limits" in proc(5). */
export function readHardLimit(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === undefined || limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

/** Most that anybody may have: see fs.nr_open in proc_sys_fs(5). */
function readKernelLimit(): number {
  return Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'));
}

/**
 * The limit for a service that asks for `wanted`. A hard limit can be raised by root alone, setrlimit(2).
 *
 * @param mostAllowed what the daemon may give
 */
export function grantOpenFiles(
  wanted: number | null,
  mostAllowed = process.getuid?.() === 0 ? readKernelLimit() : readHardLimit(),
): OpenFiles {
  if (wanted === null || wanted <= mostAllowed) return { count: wanted, note: null };
  return { count: mostAllowed, note: `open_files is ${mostAllowed} and not ${wanted}: the daemon may not allow more` };
}
