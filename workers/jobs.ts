/** Entry of the piscina pool: one finite job a call, see `protocol/jobs.ts`. */
import type { Job, JobResult } from '../src/protocol/jobs.ts';
import { toWireError, type WireError } from '../src/protocol/wire-error.ts';
import { compressLog } from './jobs/compress-log.ts';
import { runImageJob } from './jobs/images/image-job.ts';
import { buildInitramfs } from './jobs/initramfs.ts';
import { pruneLogs } from './jobs/prune-logs.ts';
import { searchLogs } from './jobs/search-logs.ts';

/** What the pool answers: piscina would reduce an error to its message. */
export type JobOutcome = { readonly result: JobResult<Job> } | { readonly error: WireError };

export default async function runJob(job: Job): Promise<JobOutcome> {
  try {
    switch (job.type) {
      case 'build-initramfs':
        return { result: buildInitramfs(job) };
      case 'compress-log':
        await compressLog(job.path);
        return { result: null };
      case 'prune-logs':
        return { result: await pruneLogs(job) };
      case 'search-logs':
        await searchLogs(job);
        return { result: null };
      default:
        return { result: await runImageJob(job) };
    }
  } catch (error) {
    return { error: toWireError(error) };
  }
}
