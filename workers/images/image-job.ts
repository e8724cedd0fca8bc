/** Jobs on the image store: the lock, the way to call them off, and the store around each. */
import { once } from 'node:events';
import { MonocoreError } from '../../src/lib/errors.ts';
import type { ImageJob, ImageJobResults } from '../../src/protocol/images.ts';
import { ImagePaths } from '../../src/state/paths.ts';
import { loadImages } from './load.ts';
import { pullImages } from './pull.ts';
import { createReport, type Report } from './reporter.ts';
import { buildRoot } from './rootfs/stored-root.ts';
import { listImages } from './store/list.ts';
import { pruneImages, removeImages } from './store/removal.ts';
import { ImageStore } from './store/store.ts';
import { lockStore } from './store/store-lock.ts';

/** @throws MonocoreError `Aborted` when it was called off, and what the job throws */
export async function runImageJob(job: ImageJob): Promise<ImageJobResults[ImageJob['type']]> {
  const store = new ImageStore(new ImagePaths(job.imagesDir));
  if (job.type === 'list-images') return listImages(store);
  const { port } = job;
  const ended = new AbortController();
  const called = new AbortController();
  once(port, 'message', { signal: ended.signal }).then(
    () => called.abort(new MonocoreError('Aborted', 'called off')),
    () => {},
  );
  try {
    const report = createReport(port);
    const unlock = await lockStore(job.imagesDir, called.signal, () => report({ type: 'waiting' }));
    try {
      await store.prepare();
      return await change(job, store, called.signal, report);
    } finally {
      unlock();
    }
  } catch (error) {
    // What breaks because it was called off breaks in many ways.
    throw called.signal.aborted ? called.signal.reason : error;
  } finally {
    ended.abort();
    port.close();
  }
}

function change(
  job: Exclude<ImageJob, { type: 'list-images' }>,
  store: ImageStore,
  signal: AbortSignal,
  report: Report,
): Promise<ImageJobResults[ImageJob['type']]> {
  switch (job.type) {
    case 'pull-images':
      return pullImages(job, { store, signal, report });
    case 'load-images':
      return loadImages(job, { store, signal, report });
    case 'remove-images':
      return removeImages(job, store);
    case 'prune-images':
      return pruneImages(job, store);
    case 'build-root-image':
      return buildRoot(job, store, signal).then(() => null);
  }
}
