/** `monocore images` and its subcommands. They need no daemon. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { maskControls, toPrintableJson } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSummary, type RemovedImages } from '../../protocol/images.ts';
import type { CliContext } from '../connection.ts';
import { shortDigest } from '../progress/downloads.ts';
import { type Column, renderTable } from '../render/table.ts';
import type { Colors } from '../render/terminal-text.ts';
import { followImages, withImages } from './image-request.ts';

export async function listImages(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const images = await withImages(context, (store) => store.list());
  const { stdout, colors } = context;
  stdout.write(options.json ? `${toPrintableJson({ images })}\n` : renderImages(images, colors, Date.now()));
}

export async function removeImages(context: CliContext, _options: unknown, names: readonly string[]): Promise<void> {
  report(context, await withImages(context, (store) => store.remove({ names })));
}

export async function pruneImages(context: CliContext): Promise<void> {
  report(context, await withImages(context, (store) => store.prune()));
}

/** A line per image, or a sentence if there are none. Ends in a newline. @param now milliseconds since the epoch */
export function renderImages(images: readonly ImageSummary[], colors: Colors, now: number): string {
  if (images.length === 0) return 'There are no images; to get one: monocore pull NAME\n';
  const ago = (time: string) => `${formatDuration(now - Date.parse(time))} ago`;
  const columns: Column<ImageSummary>[] = [
    [colors.bold('Image'), 'left', ({ name }) => name],
    [colors.bold('Digest'), 'left', ({ digest }) => shortDigest(digest)],
    [colors.bold('Platform'), 'left', ({ platform }) => platform && maskControls(platform)],
    [colors.bold('Layers'), 'right', ({ layers }) => layers],
    [colors.bold('Size'), 'right', ({ size_bytes }) => formatSize(size_bytes)],
    [colors.bold('Root'), 'right', ({ root_bytes }) => (root_bytes === null ? null : formatSize(root_bytes))],
    [colors.bold('Pulled'), 'left', ({ pulled_at }) => pulled_at && ago(pulled_at)],
  ];
  return `${renderTable(columns, images).join('\n')}\n`;
}

interface LoadOptions {
  readonly name?: string;
  /** Bytes. */
  readonly maxImageSize?: number;
}

export async function loadImages(context: CliContext, options: LoadOptions, files: readonly string[]): Promise<number> {
  const { name = null, maxImageSize: max_image_size_bytes = DEFAULT_IMAGE_SETTINGS.max_image_size_bytes } = options;
  return followImages(context, async (store, request) => {
    for (const file of files) await store.load({ path: absolutePath(file), name, max_image_size_bytes }, request);
  });
}

/** Absolute path of a file for another process, where `/dev/stdin` would mean that process's own input. */
function absolutePath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // The process that reads the file reports the error.
    return resolve(file);
  }
}

function report({ stdout }: CliContext, { removed, freed_bytes }: RemovedImages): void {
  for (const name of removed) stdout.write(`${name}: removed\n`);
  stdout.write(`${formatSize(freed_bytes)} freed\n`);
}
