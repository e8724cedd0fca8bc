/** How a job on images talks to who asked for it. */
import type { MessagePort } from 'node:worker_threads';
import type { ImageEvent } from '../../src/protocol/images.ts';

/** Takes events; never throws. */
export type Report = (event: ImageEvent) => void;

/** How often the bytes of a blob are told: as often as people can see. */
const BYTES_INTERVAL_MS = 100;

/** A report over a port that tells the bytes of a blob only now and then. */
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
