/** Jobs on the image store: each one holds the lock of the store and can be cancelled. */
import type { MessagePort } from 'node:worker_threads';
import { MonocoreError } from '../../src/lib/errors.ts';
import type { ImageChange, ImageJob, ImageJobResults, ReportImageEvent } from '../../src/protocol/images.ts';
import { ImagePaths } from '../../src/state/paths.ts';
import { loadImages } from './load.ts';
import { pullImage } from './pull.ts';
import { buildRoot } from './rootfs/build.ts';
import { listImages } from './store/list.ts';
import { pruneImages, removeImages } from './store/removal.ts';
import { ImageStore, type StoreChange } from './store/store.ts';
import { lockStore } from './store/store-lock.ts';

/** Runs a job. @throws MonocoreError `Aborted` if it was cancelled; the error of the job */
export async function runImageJob(job: ImageJob): Promise<ImageJobResults[ImageJob['type']]> {
  const store = new ImageStore(new ImagePaths(job.imagesDir));
  if (job.type === 'list-images') return listImages(store);
  const { port } = job;
  const cancel = new AbortController();
  port.once('message', () => cancel.abort(new MonocoreError('Aborted', 'the request was cancelled')));
  try {
    const report = createReport(port);
    const unlock = await lockStore(store.paths, cancel.signal, () => report({ type: 'waiting' }));
    try {
      await store.prepare();
      return await runChange(job, { store, signal: cancel.signal, report });
    } finally {
      unlock();
    }
  } catch (error) {
    // A cancelled job may fail in many ways.
    throw cancel.signal.aborted ? cancel.signal.reason : error;
  } finally {
    port.close();
  }
}

function runChange(job: ImageChange, change: StoreChange): Promise<ImageJobResults[ImageJob['type']]> {
  switch (job.type) {
    case 'pull-image':
      return pullImage(job, change);
    case 'load-images':
      return loadImages(job, change);
    case 'remove-images':
      return removeImages(job, change.store);
    case 'prune-images':
      return pruneImages(job, change.store);
    case 'build-root-image':
      return buildRoot(job, change.store, change.signal).then(() => null);
  }
}

/** Interval between progress reports for a blob: as short as people can see. */
const BYTES_INTERVAL_MS = 100;

/** Makes a function that sends events to a port and limits the rate of progress reports for each blob. */
function createReport(port: MessagePort): ReportImageEvent {
  const toldAt = new Map<string, number>();
  return (event) => {
    if (event.type === 'bytes') {
      const nowMs = performance.now();
      if (nowMs - (toldAt.get(event.digest) ?? Number.NEGATIVE_INFINITY) < BYTES_INTERVAL_MS) return;
      toldAt.set(event.digest, nowMs);
    }
    port.postMessage(event);
  };
}
