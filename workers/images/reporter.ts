/** Progress reports of image jobs. */
import type { MessagePort } from 'node:worker_threads';
import type { ImageEvent } from '../../src/protocol/images.ts';

/** Takes events; never throws. */
export type Report = (event: ImageEvent) => void;

/** Interval between reports of a blob's bytes: as short as people can see. */
const BYTES_INTERVAL_MS = 100;

/** Makes a report over a port that thins out the bytes of each blob. */
export function createReport(port: MessagePort): Report {
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
