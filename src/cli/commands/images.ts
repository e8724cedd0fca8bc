/** `monocore images` and its commands. They need no daemon. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatSize } from '../../lib/units.ts';
import { DEFAULT_IMAGE_SETTINGS, type RemovedImages } from '../../protocol/images.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { renderImages } from '../render/images-table.ts';
import { followImages, withImages } from './image-request.ts';

/** Prints the images of the home. Returns the exit code. */
export async function listImages(context: CliContext, options: { readonly json?: boolean }): Promise<number> {
  const images = await withImages(context, (store) => store.list());
  const { stdout, colors } = context;
  stdout.write(options.json ? `${JSON.stringify({ images })}\n` : renderImages(images, { colors, now: Date.now() }));
  return EXIT.done;
}

/** Removes images. Returns the exit code. */
export async function removeImages(context: CliContext, _options: unknown, names: readonly string[]): Promise<number> {
  const removed = await withImages(context, (store) => store.remove({ names }));
  return report(context, removed);
}

/** Removes what no image needs. Returns the exit code. */
export async function pruneImages(context: CliContext): Promise<number> {
  const removed = await withImages(context, (store) => store.prune());
  return report(context, removed);
}

/** Options of `images load`. */
export interface LoadOptions {
  readonly name?: string;
  /** Bytes. */
  readonly maxImageSize?: number;
}

/** Takes the images out of archives. Returns the exit code. */
export async function loadImages(context: CliContext, options: LoadOptions, files: readonly string[]): Promise<number> {
  const { name = null, maxImageSize: max_image_size_bytes = DEFAULT_IMAGE_SETTINGS.max_image_size_bytes } = options;
  return followImages(context, async (store, request) => {
    for (const file of files) await store.load({ path: absolutePath(file), name, max_image_size_bytes }, request);
  });
}

/** The path of a file for another process, in which `/dev/stdin` would be its own. */
function absolutePath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // Reported by whoever reads it.
    return resolve(file);
  }
}

function report({ stdout }: CliContext, { removed, freed_bytes }: RemovedImages): number {
  for (const name of removed) stdout.write(`${name}: removed\n`);
  stdout.write(`${formatSize(freed_bytes)} freed\n`);
  return EXIT.done;
}
