/** The table of `monocore images`. */

import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import type { ImageSummary } from '../../protocol/images.ts';
import { shortDigest } from '../progress/downloads.ts';
import type { Colors } from './terminal-text.ts';

const HEAD = ['Image', 'Digest', 'Platform', 'Layers', 'Size', 'Root', 'Pulled'] as const;
const RIGHT_ALIGNED: ReadonlySet<string> = new Set(['Layers', 'Size', 'Root']);
const UNKNOWN = '-';

/** A line per image, or a sentence where there is none. Ends in a newline. */
export function renderImages(
  images: readonly ImageSummary[],
  { colors, now }: { readonly colors: Colors /** Milliseconds since the epoch. */; readonly now: number },
): string {
  if (images.length === 0) return 'There are no images; monocore pull gets one.\n';
  const rows = images.map((image) => [
    image.name ?? UNKNOWN,
    shortDigest(image.digest),
    maskControls(image.platform ?? UNKNOWN),
    String(image.layers),
    formatSize(image.size_bytes),
    image.root_bytes === null ? UNKNOWN : formatSize(image.root_bytes),
    image.pulled_at === null ? UNKNOWN : `${formatDuration(now - Date.parse(image.pulled_at))} ago`,
  ]);
  const widths = HEAD.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        RIGHT_ALIGNED.has(HEAD[column]!) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  return `${[colors.bold(line(HEAD)), ...rows.map(line)].join('\n')}\n`;
}
