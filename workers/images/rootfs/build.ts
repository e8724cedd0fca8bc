/**
 * Builds one read-only file system from the layers of an image. Layers are never unpacked onto the host: the merged tree
 * is a model in memory, and contents go into the image. So whatever a layer says, only the output is written, and owners
 * and devices need no root.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import type { BuildRootImageJob } from '../../../src/protocol/images.ts';
import { BLOCK_BYTES } from '../erofs/erofs-format.ts';
import { collectInodes, layOut } from '../erofs/image-layout.ts';
import { writeImage } from '../erofs/image-writer.ts';
import { decompress } from '../layers/decompression.ts';
import { EntryReader } from '../layers/entries.ts';
import {
  DEFAULT_MAX_ENTRIES,
  invalidLayer,
  limitPassed,
  maxLayerBytes,
  type RootImageLimits,
} from '../layers/limits.ts';
import { readTar } from '../layers/tar-reader.ts';
import {
  defaultsOf,
  LAYER_MEDIA_TYPE,
  MAX_CONFIG_BYTES,
  OCI_MANIFEST,
  parseConfig,
  parseManifest,
} from '../manifest.ts';
import { type ImageStore, sizeOf, syncFolder, writeDurably } from '../store/store.ts';
import { ContentStore } from './content-store.ts';
import { applyEntry } from './layer-application.ts';
import { MergedTree } from './merged-tree.ts';
import { FileInode } from './tree.ts';

const FILE_MODE = 0o644;

/**
 * Builds the image and replaces what an earlier attempt left beside it. Runs in the pool.
 *
 * @param signal cancels it
 * @throws MonocoreError `ImageInvalid` for layers that are malformed, not supported or past a limit; the system's
 * errors; the signal's reason. Nothing is left behind then
 */
export async function buildRootImage(
  source: RootImageSource,
  signal: AbortSignal = new AbortController().signal,
): Promise<RootImage> {
  const unfinished = `${source.outputPath}.tmp`;
  const spool = `${source.outputPath}.tails.tmp`;
  try {
    const image = await withFiles([unfinished, spool], ([imageFd, tailsFd]) =>
      build(source, signal, imageFd!, tailsFd!),
    );
    await rename(unfinished, source.outputPath);
    await syncFolder(dirname(source.outputPath));
    return image;
  } finally {
    await Promise.all([rm(unfinished, { force: true }), rm(spool, { force: true })]);
  }
}

async function build(
  { layers, limits }: RootImageSource,
  signal: AbortSignal,
  imageFd: number,
  tailsFd: number,
): Promise<RootImage> {
  const contents = new ContentStore(imageFd, tailsFd, limits.maxImageBytes);
  const tree = new MergedTree(limits);
  const parts = { tree, contents, entries: new EntryReader((bytes) => tree.countText(bytes)) };
  const maxBytes = maxLayerBytes(limits);
  let layerBytes = 0;
  const count = (bytes: number) => {
    layerBytes += bytes;
    if (layerBytes <= maxBytes) return;
    throw limitPassed('layer-bytes', `the layers have more than ${maxBytes} bytes when decompressed`);
  };
  for (const [index, { path, mediaType }] of layers.entries()) {
    tree.beginLayer();
    try {
      if (!LAYER_MEDIA_TYPE.test(mediaType)) throw invalidLayer(`a layer of the type ${mediaType} is not supported`);
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
  return { sizeBytes: layout.blocks * BLOCK_BYTES, inodes: inodes.length };
}

/** Names the layer in an error that is its fault; errors of the system stay as they are. */
function asLayerError(error: unknown, number: number): unknown {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return new MonocoreError(code, `layer ${number}: ${message}`, { details, cause });
  }
  const code = errorCode(error);
  if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) return error;
  return invalidLayer(`layer ${number} cannot be read: ${errorText(error)}`, error);
}

async function withFiles<T>(paths: readonly string[], action: (fds: readonly number[]) => Promise<T>): Promise<T> {
  const fds: number[] = [];
  try {
    for (const path of paths) fds.push(openSync(path, 'w+', FILE_MODE));
    return await action(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** A layer of an image. */
export interface LayerBlob {
  /** Absolute path. Its digest was verified. */
  readonly path: string;
  /** Media type in the manifest, see {@link LAYER_MEDIA_TYPE}. */
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

/** Result of a build. */
interface RootImage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/**
 * Builds the root of an image and writes its record, unless both exist. The root comes last, so it never exists without
 * its record. The caller holds the store's lock.
 *
 * @throws MonocoreError `ImageInvalid` when the store lacks a part of the image or a layer is refused; the signal's reason
 */
export async function buildRoot(
  { digest, max_image_size_bytes }: Pick<BuildRootImageJob, 'digest' | 'max_image_size_bytes'>,
  store: ImageStore,
  signal: AbortSignal,
): Promise<void> {
  const { paths } = store;
  if ((await sizeOf(paths.root(digest))) !== null && (await sizeOf(paths.rootRecord(digest))) !== null) return;
  const manifest = parseManifest(await store.readManifest(digest), OCI_MANIFEST, digest);
  if (!('config' in manifest)) throw new MonocoreError('ImageInvalid', `${digest} is an index, not an image`);
  const config = parseConfig(
    await store.read(manifest.config.digest, MAX_CONFIG_BYTES),
    manifest.layers.length,
    digest,
  );
  for (const layer of manifest.layers) await store.checkPresent(layer);
  await writeDurably(paths.rootRecord(digest), `${JSON.stringify(defaultsOf(config), null, 2)}\n`);
  const layers = manifest.layers.map((layer) => ({ path: paths.blob(layer.digest), mediaType: layer.mediaType }));
  const limits = { maxImageBytes: max_image_size_bytes, maxEntries: DEFAULT_MAX_ENTRIES };
  await buildRootImage({ layers, outputPath: paths.root(digest), limits }, signal);
}
