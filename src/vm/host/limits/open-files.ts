/** RLIMIT_NOFILE: how many files a process may have open. */
import { readMaxOpenFilesLimit, readOpenFilesLimit } from '../../../lib/proc.ts';

/** What a service gets. */
export interface OpenFiles {
  /** For soft and hard limit alike; null leaves the daemon's. */
  readonly count: number | null;
  /** Why that is not what was asked for, for people; null when it is. */
  readonly note: string | null;
}

/**
 * The limit for a service that asks for `wanted`. A hard limit can be raised by root alone, setrlimit(2).
 *
 * @param mostAllowed what the daemon may give
 */
export function grantOpenFiles(
  wanted: number | null,
  mostAllowed = process.getuid?.() === 0 ? readMaxOpenFilesLimit() : readOpenFilesLimit().hard,
): OpenFiles {
  if (wanted === null || wanted <= mostAllowed) return { count: wanted, note: null };
  return { count: mostAllowed, note: `open_files is ${mostAllowed} and not ${wanted}: the daemon may not allow more` };
}
