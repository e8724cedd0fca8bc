/** Reads log files while no daemon is running. */
import type { LogQuery } from '../protocol/log-files/queries.ts';
import { JobPool } from '../threads/job-pool.ts';
import { readLogs } from './log-reading.ts';
import { LogThread } from './logs-thread.ts';

/**
 * Passes the records of `query`, which must not follow, to `onChunk`. Main thread.
 *
 * @param onChunk as for `readLogs`: reading pauses until its promise resolves
 * @param signal ends the reading; the promise then resolves
 * @throws MonocoreError of the log worker
 */
export async function readStoredLogs(
  logDir: string,
  query: LogQuery,
  onChunk: (bytes: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const jobs = new JobPool();
  const logs = new LogThread(logDir, () => {}, { runSearch: (job, options) => jobs.run(job, options) });
  try {
    await logs.start();
    await readLogs(await logs.thread.ready(), query, onChunk, signal);
  } finally {
    await logs.stop();
    await jobs.close();
  }
}
