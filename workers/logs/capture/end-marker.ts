/** Search for the marker at the end of a service's output. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import { HEADROOM_BYTES } from '../format/framer.ts';

/**
 * Encodes a marker. Throws `Internal` if it is empty, not ASCII or longer than 128 bytes: the held-back start of a
 * marker must fit in front of the next chunk.
 */
export function markerBytes(marker: string): Buffer {
  const bytes = Buffer.from(marker);
  if (bytes.length === 0 || bytes.length > HEADROOM_BYTES || bytes.length !== marker.length) {
    throw new MonocoreError(
      'Internal',
      `the marker is not valid: it must have 1 to ${HEADROOM_BYTES} ASCII characters, not ${bytes.length} bytes`,
    );
  }
  return bytes;
}

/** Result of a search. */
interface MarkerSearch {
  /** Offset of the first marker, or -1. */
  readonly at: number;
  /** Without a marker: number of bytes at the end that may be the start of one. */
  readonly held: number;
}

/** Looks for `marker` in `bytes`, which begin with the bytes held back by the previous search. */
export function searchMarker(bytes: Buffer, marker: Buffer): MarkerSearch {
  const at = bytes.indexOf(marker);
  if (at !== -1) return { at, held: 0 };
  const first = marker[0]!;
  const start = Math.max(0, bytes.length - marker.length + 1);
  for (let from = bytes.indexOf(first, start); from !== -1; from = bytes.indexOf(first, from + 1)) {
    const held = bytes.length - from;
    if (bytes.compare(marker, 0, held, from) === 0) return { at: -1, held };
  }
  return { at: -1, held: 0 };
}
