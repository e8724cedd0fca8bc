/**
 * Entry of the thread pools for small jobs: one finite job per call, see `protocol/jobs.ts`. Images have their own
 * entry, whose modules take longer to load than most of these jobs take to run.
 */
import { type JobOutcome, type JobResult, outcomeOf, type SmallJob } from '../src/protocol/jobs.ts';
import { buildInitramfs } from './jobs/guest-image/initramfs.ts';
import { compressLog } from './jobs/logs/compress.ts';
import { pruneLogs } from './jobs/logs/prune.ts';
import { matchLine, searchLogs } from './jobs/logs/search.ts';

/** Runs a job on a thread of the pool; never throws. */
export default function run(job: SmallJob): Promise<JobOutcome<JobResult<SmallJob>>> {
  return outcomeOf(() => runJob(job));
}

async function runJob(job: SmallJob): Promise<JobResult<SmallJob>> {
  switch (job.type) {
    case 'build-initramfs':
      return buildInitramfs(job);
    case 'compress-log':
      return compressLog(job.path).then(() => null);
    case 'prune-logs':
      return pruneLogs(job);
    case 'search-logs':
      return searchLogs(job).then(() => null);
    case 'match-line':
      return matchLine(job);
  }
}
