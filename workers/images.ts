/** Entry of the thread pool for images: one job on the image store per call, see `protocol/images.ts`. */
import type { ImageJob, ImageJobResults } from '../src/protocol/images.ts';
import { type JobOutcome, outcomeOf } from '../src/protocol/jobs.ts';
import { runImageJob } from './images/image-job.ts';

/** Runs a job on a thread of the pool; never throws. */
export default function run(job: ImageJob): Promise<JobOutcome<ImageJobResults[ImageJob['type']]>> {
  return outcomeOf(() => runImageJob(job));
}
