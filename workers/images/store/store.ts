/** The image store on disk: an OCI image layout. Every change of it is one rename, behind an fsync. */
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

/** Blobs and the index of one store. What is in it was verified when it came. */
export class ImageStore {
  readonly paths: ImagePaths;

  constructor(paths: ImagePaths) {
    this.paths = paths;
  }

  /** Makes what is missing of it. The store's folder itself has to exist. */
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

  /** Whether a blob is there. It was verified when it came: only its size is looked at again. */
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

  /** @throws MonocoreError `ImageInvalid` when a blob is missing or has another size; its content is not looked at */
  async checkPresent(blob: Pick<Descriptor, 'digest' | 'size'>): Promise<void> {
    if (!(await this.has(blob))) throw damaged(this.paths.blob(blob.digest), 'missing or cut off');
  }

  /** Removes what services boot from, if it was made. @returns the bytes of the disk that are free now */
  async removeRoot(digest: string): Promise<number> {
    const root = this.paths.root(digest);
    const freedBytes = await allocatedBytes(root);
    await rm(root, { force: true });
    await rm(this.paths.rootRecord(digest), { force: true });
    return freedBytes;
  }

  /** Keeps a small blob. */
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
   * Makes a file of the partial folder a blob.
   *
   * @param path verified, and on disk: see `FileHandle.sync`
   */
  async keep(path: string, digest: string): Promise<void> {
    await rename(path, this.paths.blob(digest));
    await syncFolder(this.paths.blobsDir);
  }

  /** @returns the bytes that are free now */
  async removeBlob(digest: string): Promise<number> {
    const path = this.paths.blob(digest);
    const size = await sizeOf(path);
    await rm(path, { force: true });
    return size ?? 0;
  }

  /** No images where there is no store yet. @throws MonocoreError `ImageInvalid` for an index that is damaged */
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

  /** A manifest of this store. @throws as {@link read} */
  async readManifest(digest: string): Promise<Buffer> {
    return this.read(digest, MAX_MANIFEST_BYTES);
  }
}

/** Bytes of the disk that a file takes; 0 where there is none. */
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
    details: { hint: 'remove the image with monocore images rm, and pull it again' },
  });
}

/** Size of a regular file in bytes, or null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Replaces a file in one step; what it holds survives a power cut. */
export async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  await writeFileAtomic(path, content, { mode: 0o644, fsync: true });
  await syncFolder(dirname(path));
}

/** A renamed file survives a power cut only when its folder is on disk too, see fsync(2). */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
