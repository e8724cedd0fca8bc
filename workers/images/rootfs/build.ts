/**
 * Builds one read-only file system from the layers of an image. Layers are never unpacked onto the host: the merged tree
 * is a model in memory, and contents go into the image. So whatever a layer says, only the output is written, and owners
 * and devices need no root.
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
/** Default of `maxEntries`. An image of a million files took 430 MB of memory while it was built, the process included. */
const DEFAULT_MAX_ENTRIES = 2_000_000;
/** Rough size of a tar header with its extensions, granted to each entry of the decompressed layers. */
const HEADER_BYTES = 4096;

/**
 * Builds an image. Builds with the same output must not overlap.
 *
 * @param layers absolute paths of verified blobs, the lowest first
 * @param outputPath absolute, replaced atomically when the image is complete. `<path>.tmp` and `<path>.tails.tmp` exist
 * meanwhile, and after a crash until the next build
 * @throws MonocoreError `ImageInvalid` for layers that are malformed, not supported or exceed a limit; the system's
 * errors; the signal's reason. Nothing is left behind then
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

/** Reads layers into one tree, and the contents of its files into `contents`. */
async function mergeLayers(
  layers: readonly string[],
  limits: RootImageLimits,
  contents: ContentStore,
  signal: AbortSignal,
): Promise<DirectoryInode> {
  const tree = new MergedTree(limits.maxEntries);
  // Of all layers together when decompressed, kept or not.
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

/** Names the layer in an error that is its fault; errors of the system stay as they are. */
function asLayerError(error: unknown, number: number): unknown {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return new MonocoreError(code, `layer ${number}: ${message}`, { details, cause });
  }
  return asContentError(error, `layer ${number} cannot be read`);
}

/**
 * Builds the root of an image and writes its record, in place of damaged ones. The root comes last, so it never exists
 * without its record. The caller holds the store's lock.
 *
 * @throws MonocoreError `ImageInvalid` when the store lacks a part of the image or a layer is refused; the signal's reason
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
