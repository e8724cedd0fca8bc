/** The table of `monocore images`. */

import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import type { ImageSummary } from '../../protocol/images.ts';
import { shortDigest } from '../progress/downloads.ts';
import { renderTable } from './table.ts';
import type { Colors } from './terminal-text.ts';

const HEAD = ['Image', 'Digest', 'Platform', 'Layers', 'Size', 'Root', 'Pulled'] as const;
/** Layers, size and root. */
const RIGHT: ReadonlySet<number> = new Set([3, 4, 5]);
const UNKNOWN = '-';

/** A line for each image, or a sentence if there is none. Ends in a newline. */
export function renderImages(
  images: readonly ImageSummary[],
  { colors, now }: { readonly colors: Colors /** Milliseconds since the epoch. */; readonly now: number },
): string {
  if (images.length === 0) return 'There are no images; to get one: monocore pull NAME\n';
  const rows = images.map((image) => [
    image.name ?? UNKNOWN,
    shortDigest(image.digest),
    maskControls(image.platform ?? UNKNOWN),
    String(image.layers),
    formatSize(image.size_bytes),
    image.root_bytes === null ? UNKNOWN : formatSize(image.root_bytes),
    image.pulled_at === null ? UNKNOWN : `${formatDuration(now - Date.parse(image.pulled_at))} ago`,
  ]);
  const head = HEAD.map((name) => colors.bold(name));
  return `${renderTable(head, rows, { right: RIGHT }).join('\n')}\n`;
}
