/**
 * Builds a read-only file system from the layers of an image. Layers are never unpacked onto the host: the merged tree
 * is a model in memory, and file contents go directly into the image. Whatever a layer contains, only the output file
 * is written, and owners and devices need no root privileges.
 */
import { closeSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { syncPath } from '../../../src/lib/files.ts';
import type { BuildRootInput } from '../../../src/protocol/images.ts';
import { writeImage } from '../erofs/image-writer.ts';
import { decompress } from '../layers/decompression.ts';
import { readTar } from '../layers/tar-reader.ts';
import { asContentError, invalidImage, limitExceeded, type RootImageLimits } from '../limits.ts';
import { defaultsOf } from '../manifest.ts';
import { type ImageStore, writeDurably } from '../store/store.ts';
import { ContentStore } from './content-store.ts';
import { applyEntry } from './layer-application.ts';
import { MergedTree } from './merged-tree.ts';
import type { DirectoryInode } from './tree.ts';

const FILE_MODE = 0o600;
/** Default of `maxEntries`. While an image with a million files was being built, the process used 430 MB of memory. */
const DEFAULT_MAX_ENTRIES = 2_000_000;
/** Approximate size of a tar header with its extensions, allowed for each entry of the decompressed layers. */
const HEADER_BYTES = 4096;

/**
 * Builds an image. Builds with the same output must not overlap.
 *
 * @param layers absolute paths of verified blobs, lowest layer first
 * @param outputPath absolute path, replaced atomically when the image is complete. `<path>.tmp` and `<path>.tails.tmp`
 * exist during the build, and after a crash until the next build
 * @throws MonocoreError `ImageInvalid` for layers that are malformed, not supported or exceed a limit; errors of the
 * system; the signal's reason. Nothing is left behind then
 */
export async function buildRootImage(
  layers: readonly string[],
  outputPath: string,
  limits: RootImageLimits,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const unfinished = `${outputPath}.tmp`;
  const spool = `${outputPath}.tails.tmp`;
  const fds: number[] = [];
  try {
    for (const path of [unfinished, spool]) fds.push(openSync(path, 'w+', FILE_MODE));
    const contents = new ContentStore(fds[0]!, fds[1]!, limits.maxImageBytes);
    writeImage(fds[0]!, await mergeLayers(layers, limits, contents, signal), contents);
    await rename(unfinished, outputPath);
    await syncPath(dirname(outputPath));
  } finally {
    for (const fd of fds) closeSync(fd);
    await Promise.all([rm(unfinished, { force: true }), rm(spool, { force: true })]);
  }
}

/** Reads layers into one tree, and the contents of their files into `contents`. */
async function mergeLayers(
  layers: readonly string[],
  limits: RootImageLimits,
  contents: ContentStore,
  signal: AbortSignal,
): Promise<DirectoryInode> {
  const tree = new MergedTree(limits.maxEntries);
  // Limit for all decompressed layers together, whether or not their contents are kept.
  const maxBytes = limits.maxImageBytes + limits.maxEntries * HEADER_BYTES;
  let layerBytes = 0;
  const count = (bytes: number) => {
    layerBytes += bytes;
    if (layerBytes <= maxBytes) return;
    throw limitExceeded('layer-bytes', `the layers have more than ${maxBytes} bytes when decompressed`);
  };
  for (const [index, path] of layers.entries()) {
    tree.beginLayer();
    try {
      await readTar(decompress(path, signal, count), (entry) => applyEntry(entry, tree, contents));
    } catch (error) {
      signal.throwIfAborted();
      throw asLayerError(error, index + 1);
    }
  }
  return tree.root;
}

/** Names the layer in an error that it caused; errors of the system are returned unchanged. */
function asLayerError(error: unknown, number: number): unknown {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return new MonocoreError(code, `layer ${number}: ${message}`, { details, cause });
  }
  return asContentError(error, `layer ${number} cannot be read`);
}

/**
 * Builds the root file system of an image and writes its record, replacing damaged ones. The root is written last, so
 * it never exists without its record. The caller holds the lock of the store.
 *
 * @throws MonocoreError `ImageInvalid` if the store lacks a part of the image or a layer is rejected; the signal's
 * reason
 */
export async function buildRoot(
  { digest, max_image_size_bytes }: BuildRootInput,
  store: ImageStore,
  signal: AbortSignal,
): Promise<void> {
  const { paths } = store;
  const manifest = await store.readManifest(digest);
  if (!('config' in manifest)) throw invalidImage(`${digest} is an index, not an image`);
  const config = await store.readConfig(manifest, digest);
  for (const layer of manifest.layers) await store.checkPresent(layer);
  await writeDurably(paths.rootRecord(digest), `${JSON.stringify(defaultsOf(config), null, 2)}\n`);
  const layers = manifest.layers.map((layer) => paths.blob(layer.digest));
  const limits = { maxImageBytes: max_image_size_bytes, maxEntries: DEFAULT_MAX_ENTRIES };
  await buildRootImage(layers, paths.root(digest), limits, signal);
}
