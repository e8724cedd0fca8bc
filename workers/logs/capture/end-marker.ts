/** The search for the marker that ends what a service printed. Pure. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import { HEADROOM_BYTES } from '../format/framer.ts';

/**
 * The bytes of a marker. Throws `Internal` for an empty one, one that is not ASCII, or one above 128 bytes: what is
 * withheld of it has to fit before the next chunk.
 */
export function markerBytes(marker: string): Buffer {
  const bytes = Buffer.from(marker);
  if (bytes.length === 0 || bytes.length > HEADROOM_BYTES || bytes.length !== marker.length) {
    throw new MonocoreError(
      'Internal',
      `a marker has 1 to ${HEADROOM_BYTES} ASCII characters, got ${bytes.length} bytes`,
    );
  }
  return bytes;
}

/** What a search found. */
export interface MarkerSearch {
  /** Where the first marker starts, or -1. */
  readonly at: number;
  /** Without a marker: how many of the last bytes may be the start of one, less than a whole one. */
  readonly held: number;
}

/** Looks for `marker` in `bytes`, which start with what the search before held back. */
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
