/**
 * Builds one read-only file system of the layers of an image. Layers are never unpacked onto the host: the merged tree
 * is a model in memory, and contents go into the image. So whatever a layer says, nothing but the output is written,
 * and root is not needed for owners and devices.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import { BLOCK_BYTES } from '../erofs/erofs-format.ts';
import { collectInodes, layOut } from '../erofs/image-layout.ts';
import { writeImage } from '../erofs/image-writer.ts';
import { EntryReader } from '../layers/entries.ts';
import { LayerByteCount, readLayer } from '../layers/layer-stream.ts';
import { invalidLayer, maxLayerBytes } from '../layers/limits.ts';
import { readTar } from '../layers/tar-reader.ts';
import { ContentStore } from './content-store.ts';
import { applyEntry } from './layer-application.ts';
import { MergedTree } from './merged-tree.ts';
import type { RootImage, RootImageSource } from './source.ts';
import { FileInode } from './tree.ts';

const FILE_MODE = 0o644;

/**
 * Builds the image; what an earlier attempt left beside it is replaced. Runs in the pool.
 *
 * @param signal calls it off
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
  const count = new LayerByteCount(maxLayerBytes(limits));
  for (const [index, layer] of layers.entries()) {
    tree.beginLayer();
    try {
      await readTar(interruptible(readLayer(layer, count), signal), (entry) => applyEntry(entry, parts));
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

/** Chunks come from a file, so what calls the job off is heard between them. */
async function* interruptible(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    yield chunk;
  }
}

/** Errors of the system stay what they are; the others are the layer's fault, and say which one it is. */
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

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
