/** Image store on disk, an OCI image layout. Every change is an fsync followed by one rename. */
import type { Stats } from 'node:fs';
import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { type MonocoreError, nullIfMissing } from '../../../src/lib/errors.ts';
import { readBounded, syncPath } from '../../../src/lib/files.ts';
import { ImageIndexSchema, type ReportImageEvent } from '../../../src/protocol/images.ts';
import { MAX_BYTES } from '../../../src/protocol/input.ts';
import type { ImagePaths } from '../../../src/state/paths.ts';
import { invalidImage } from '../limits.ts';
import {
  type Descriptor,
  digestOf,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  OCI_MANIFEST,
  parseConfig,
  parseDocument,
  parseManifest,
} from '../manifest.ts';

/** Image-spec, image-layout.md, "oci-layout file". */
const LAYOUT = `${JSON.stringify({ imageLayoutVersion: '1.0.0' })}\n`;
const NO_IMAGES: ImageIndex = { schemaVersion: 2, manifests: [] };

/** Context of a job that changes the store. */
export interface StoreChange {
  readonly store: ImageStore;
  readonly signal: AbortSignal;
  readonly report: ReportImageEvent;
}

/** Blobs and index of one store. Its content was verified on arrival. */
export class ImageStore {
  readonly paths: ImagePaths;

  constructor(paths: ImagePaths) {
    this.paths = paths;
  }

  /** Creates missing folders and files. */
  async prepare(): Promise<void> {
    const { blobsDir, partialDir, rootsDir, layoutFile, index } = this.paths;
    for (const dir of [blobsDir, partialDir, rootsDir]) await mkdir(dir, { recursive: true, mode: 0o700 });
    if ((await sizeOf(layoutFile)) === null) await writeDurably(layoutFile, LAYOUT);
    if ((await sizeOf(index)) === null) await this.writeIndex(NO_IMAGES);
  }

  /** True if a blob is present; only its size is checked again. */
  async has({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
    return (await sizeOf(this.paths.blob(digest))) === size;
  }

  /**
   * Checks that a blob is present.
   *
   * @throws MonocoreError `ImageInvalid` if it is missing or has a different size; its content is not checked
   */
  async checkPresent(blob: Descriptor): Promise<void> {
    if (!(await this.has(blob))) throw damaged(this.paths.blob(blob.digest), 'missing or truncated');
  }

  /**
   * Reads and parses a manifest or index. `what` names it in messages.
   *
   * @param mediaType for documents that do not state their own: OCI documents may omit it, Docker's never do
   * @throws MonocoreError `ImageInvalid` if it is missing, damaged or not a manifest
   */
  async readManifest(digest: string, mediaType = OCI_MANIFEST, what = digest): Promise<ImageManifest | ImageIndex> {
    return parseManifest(await this.#read(digest, MAX_MANIFEST_BYTES), mediaType, what);
  }

  /** Reads and parses the config of an image. @throws as {@link readManifest} */
  async readConfig({ config, layers }: ImageManifest, what: string): Promise<ImageConfig> {
    return parseConfig(await this.#read(config.digest, MAX_CONFIG_BYTES), layers.length, what);
  }

  /** Reads a small blob and verifies it again. */
  async #read(digest: string, maxBytes: number): Promise<Buffer> {
    const path = this.paths.blob(digest);
    const size = await sizeOf(path);
    const bytes = size === null || size > maxBytes ? null : await readFile(path);
    if (bytes && digestOf(bytes) === digest) return bytes;
    throw damaged(path, size === null ? 'missing' : bytes ? 'damaged' : 'too large');
  }

  /** Writes a small blob. */
  async write(bytes: Buffer): Promise<void> {
    const digest = digestOf(bytes);
    if (await this.has({ digest, size: bytes.length })) return;
    await writeDurably(this.paths.blob(digest), bytes);
  }

  /** Moves a verified and synced file from the partial folder to the blobs. */
  async keep(path: string, digest: string): Promise<void> {
    await rename(path, this.paths.blob(digest));
    await syncPath(this.paths.blobsDir);
  }

  /**
   * Reads the index; empty if there is no store.
   *
   * @throws MonocoreError `ImageInvalid` for a damaged index, `Internal` for a huge one
   */
  async readIndex(): Promise<ImageIndex> {
    const text = await readBounded(this.paths.index, MAX_BYTES.index).catch(nullIfMissing);
    return text === null ? NO_IMAGES : parseDocument(ImageIndexSchema, text, this.paths.index);
  }

  async writeIndex(index: ImageIndex): Promise<void> {
    await writeDurably(this.paths.index, `${JSON.stringify(index, null, 2)}\n`);
  }
}

function damaged(path: string, fault: string): MonocoreError {
  return invalidImage(`the image store is damaged: ${path} is ${fault}`, {
    details: { hint: 'remove the image with monocore images rm and pull it again' },
  });
}

/** Status of a file; null if it does not exist. */
export async function statFile(path: string): Promise<Stats | null> {
  return stat(path).catch(nullIfMissing);
}

/** Size of a regular file in bytes; null if it does not exist. */
export async function sizeOf(path: string): Promise<number | null> {
  const found = await statFile(path);
  return found?.isFile() ? found.size : null;
}

/** Replaces a file atomically; the new content survives a power failure. */
export async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  await writeFileAtomic(path, content, { mode: 0o600, fsync: true });
  await syncPath(dirname(path));
}
