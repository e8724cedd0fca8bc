/**
 * Builds one read-only file system from the layers of an image. Layers are never unpacked onto the host: the merged tree
 * is a model in memory, and contents go into the image. So whatever a layer says, only the output is written, and owners
 * and devices need no root.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorText, MonocoreError } from '../../../src/lib/errors.ts';
import type { BuildRootImageJob, JobInput } from '../../../src/protocol/images.ts';
import { BLOCK_BYTES } from '../erofs/erofs-format.ts';
import { collectInodes, layOut, writeImage } from '../erofs/image-writer.ts';
import { decompress } from '../layers/decompression.ts';
import { EntryReader } from '../layers/entries.ts';
import { readTar } from '../layers/tar-reader.ts';
import { invalidImage, isSystemError, limitExceeded, type RootImageLimits } from '../limits.ts';
import { defaultsOf, LAYER_MEDIA_TYPE } from '../manifest.ts';
import { type ImageStore, sizeOf, syncPath, writeDurably } from '../store/store.ts';
import { ContentStore } from './content-store.ts';
import { applyEntry } from './layer-application.ts';
import { MergedTree } from './merged-tree.ts';
import { FileInode } from './tree.ts';

const FILE_MODE = 0o644;
/** Default of `maxEntries`. An image of a million files took 430 MB of memory while it was built, the process included. */
const DEFAULT_MAX_ENTRIES = 2_000_000;
/** Rough size of a tar header with its extensions, granted to each entry of the decompressed layers. */
const HEADER_BYTES = 4096;

/**
 * Builds an image and replaces the remains of an earlier attempt.
 *
 * @throws MonocoreError `ImageInvalid` for layers that are malformed, not supported or exceed a limit; the system's
 * errors; the signal's reason. Nothing is left behind then
 */
export async function buildRootImage(
  source: RootImageSource,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const unfinished = `${source.outputPath}.tmp`;
  const spool = `${source.outputPath}.tails.tmp`;
  const fds: number[] = [];
  try {
    for (const path of [unfinished, spool]) fds.push(openSync(path, 'w+', FILE_MODE));
    await build(source, signal, fds[0]!, fds[1]!);
    await rename(unfinished, source.outputPath);
    await syncPath(dirname(source.outputPath));
  } finally {
    for (const fd of fds) closeSync(fd);
    await Promise.all([rm(unfinished, { force: true }), rm(spool, { force: true })]);
  }
}

async function build(
  { layers, limits }: RootImageSource,
  signal: AbortSignal,
  imageFd: number,
  tailsFd: number,
): Promise<void> {
  const contents = new ContentStore(imageFd, tailsFd, limits.maxImageBytes);
  const tree = new MergedTree(limits);
  const parts = { tree, contents, entries: new EntryReader((bytes) => tree.countText(bytes)) };
  // Of all layers together when decompressed, kept or not.
  const maxBytes = limits.maxImageBytes + limits.maxEntries * HEADER_BYTES;
  let layerBytes = 0;
  const count = (bytes: number) => {
    layerBytes += bytes;
    if (layerBytes <= maxBytes) return;
    throw limitExceeded('layer-bytes', `the layers have more than ${maxBytes} bytes when decompressed`);
  };
  for (const [index, { path, mediaType }] of layers.entries()) {
    tree.beginLayer();
    try {
      if (!LAYER_MEDIA_TYPE.test(mediaType)) throw invalidImage(`a layer of the type ${mediaType} is not supported`);
      await readTar(decompress(path, count, signal), (entry) => applyEntry(entry, parts));
    } catch (error) {
      signal.throwIfAborted();
      throw asLayerError(error, index + 1);
    }
  }
  const inodes = collectInodes(tree.root);
  const nextBlock = contents.close(inodes.filter((inode) => inode instanceof FileInode));
  const layout = layOut(inodes, nextBlock);
  contents.checkBlocks(layout.blocks);
  writeImage(imageFd, layout, contents);
  ftruncateSync(imageFd, layout.blocks * BLOCK_BYTES);
  fsyncSync(imageFd);
}

/** Names the layer in an error that is its fault; errors of the system stay as they are. */
function asLayerError(error: unknown, number: number): unknown {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return new MonocoreError(code, `layer ${number}: ${message}`, { details, cause });
  }
  if (isSystemError(error)) return error;
  return invalidImage(`layer ${number} cannot be read: ${errorText(error)}`, { cause: error });
}

export interface LayerBlob {
  /** Absolute path of the verified blob. */
  readonly path: string;
  readonly mediaType: string;
}

/** Input of a build. Builds with the same output must not overlap. */
interface RootImageSource {
  /** The lowest first. */
  readonly layers: readonly LayerBlob[];
  /**
   * Absolute path, replaced atomically when the image is complete. `<path>.tmp` and `<path>.tails.tmp` exist meanwhile, and
   * after a crash until the next build.
   */
  readonly outputPath: string;
  readonly limits: RootImageLimits;
}

/**
 * Builds the root of an image and writes its record, unless both exist. The root comes last, so it never exists without
 * its record. The caller holds the store's lock.
 *
 * @throws MonocoreError `ImageInvalid` when the store lacks a part of the image or a layer is refused; the signal's reason
 */
export async function buildRoot(
  { digest, max_image_size_bytes }: JobInput<BuildRootImageJob>,
  store: ImageStore,
  signal: AbortSignal,
): Promise<void> {
  const { paths } = store;
  if ((await sizeOf(paths.root(digest))) !== null && (await sizeOf(paths.rootRecord(digest))) !== null) return;
  const manifest = await store.readManifest(digest);
  if (!('config' in manifest)) throw invalidImage(`${digest} is an index, not an image`);
  const config = await store.readConfig(manifest, digest);
  for (const layer of manifest.layers) await store.checkPresent(layer);
  await writeDurably(paths.rootRecord(digest), `${JSON.stringify(defaultsOf(config), null, 2)}\n`);
  const layers = manifest.layers.map((layer) => ({ path: paths.blob(layer.digest), mediaType: layer.mediaType }));
  const limits = { maxImageBytes: max_image_size_bytes, maxEntries: DEFAULT_MAX_ENTRIES };
  await buildRootImage({ layers, outputPath: paths.root(digest), limits }, signal);
}
