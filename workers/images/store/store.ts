/** Image store on disk, an OCI image layout. Every change is an fsync and one rename. */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { errorCode, MonocoreError } from '../../../src/lib/errors.ts';
import type { ImagePaths } from '../../../src/state/paths.ts';
import { type Descriptor, digestOf, type ImageIndex, MAX_MANIFEST_BYTES, parseIndex } from '../manifest.ts';

/** Image-spec, image-layout.md, "oci-layout file". */
const LAYOUT = `${JSON.stringify({ imageLayoutVersion: '1.0.0' })}\n`;
const NO_IMAGES: ImageIndex = { schemaVersion: 2, manifests: [] };

/** Blobs and index of one store. Its content was verified on arrival. */
export class ImageStore {
  readonly paths: ImagePaths;

  constructor(paths: ImagePaths) {
    this.paths = paths;
  }

  /** Makes missing folders and files. The store's folder itself must exist. */
  async prepare(): Promise<void> {
    const { blobsDir, partialDir, rootsDir } = this.paths;
    for (const dir of [dirname(blobsDir), blobsDir, partialDir, rootsDir]) {
      await mkdir(dir).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw error;
      });
    }
    if ((await sizeOf(this.paths.layoutFile)) === null) await writeDurably(this.paths.layoutFile, LAYOUT);
    if ((await sizeOf(this.paths.index)) === null) await this.writeIndex(NO_IMAGES);
  }

  /** True when a blob is present; only its size is checked again. */
  async has({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
    return (await sizeOf(this.paths.blob(digest))) === size;
  }

  /**
   * Reads a small blob and verifies it again.
   *
   * @throws MonocoreError `ImageInvalid` when it is missing, larger than `maxBytes` or damaged
   */
  async read(digest: string, maxBytes: number): Promise<Buffer> {
    const path = this.paths.blob(digest);
    const size = await sizeOf(path);
    const bytes = size === null || size > maxBytes ? null : await readFile(path);
    if (bytes && digestOf(bytes) === digest) return bytes;
    throw damaged(path, size === null ? 'missing' : bytes ? 'damaged' : 'too large');
  }

  /** @throws MonocoreError `ImageInvalid` when a blob is missing or has another size; its content is not checked */
  async checkPresent(blob: Pick<Descriptor, 'digest' | 'size'>): Promise<void> {
    if (!(await this.has(blob))) throw damaged(this.paths.blob(blob.digest), 'missing or truncated');
  }

  /** Removes the root of an image, if it was built. @returns the freed bytes */
  async removeRoot(digest: string): Promise<number> {
    const root = this.paths.root(digest);
    const freedBytes = await allocatedBytes(root);
    await rm(root, { force: true });
    await rm(this.paths.rootRecord(digest), { force: true });
    return freedBytes;
  }

  /** Writes a small blob. @returns its digest */
  async write(bytes: Buffer): Promise<string> {
    const digest = digestOf(bytes);
    if (await this.has({ digest, size: bytes.length })) return digest;
    const path = this.paths.partial(digest);
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.keep(path, digest);
    return digest;
  }

  /**
   * Turns a file of the partial folder into a blob.
   *
   * @param path of a file that is verified and synced
   */
  async keep(path: string, digest: string): Promise<void> {
    await rename(path, this.paths.blob(digest));
    await syncFolder(this.paths.blobsDir);
  }

  /** Removes a blob. @returns the freed bytes */
  async removeBlob(digest: string): Promise<number> {
    const path = this.paths.blob(digest);
    const size = await sizeOf(path);
    await rm(path, { force: true });
    return size ?? 0;
  }

  /** Reads the index; empty without a store. @throws MonocoreError `ImageInvalid` for a damaged index */
  async readIndex(): Promise<ImageIndex> {
    const bytes = await readFile(this.paths.index).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    });
    return bytes === null ? NO_IMAGES : parseIndex(bytes, this.paths.index);
  }

  async writeIndex(index: ImageIndex): Promise<void> {
    await writeDurably(this.paths.index, `${JSON.stringify(index, null, 2)}\n`);
  }

  /** Reads a manifest. @throws as {@link read} */
  async readManifest(digest: string): Promise<Buffer> {
    return this.read(digest, MAX_MANIFEST_BYTES);
  }
}

/** Bytes on disk of a file; 0 when it does not exist. */
export async function allocatedBytes(path: string): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  // A block of stat(2) has 512 bytes.
  return (found?.blocks ?? 0) * 512;
}

function damaged(path: string, fault: string): MonocoreError {
  return new MonocoreError('ImageInvalid', `the image store is damaged: ${path} is ${fault}`, {
    details: { hint: 'remove the image with monocore images rm and pull it again' },
  });
}

/** Size of a regular file in bytes; null when it does not exist. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Replaces a file atomically; the new content survives a power cut. */
export async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  await writeFileAtomic(path, content, { mode: 0o644, fsync: true });
  await syncFolder(dirname(path));
}

/** Syncs a folder: a rename survives a power cut only once its folder is on disk, see fsync(2). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
