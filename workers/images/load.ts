/** Loads images from archives into the store. */
import { readFile } from 'node:fs/promises';
import { MonocoreError } from '../../src/lib/errors.ts';
import { fullImageName } from '../../src/protocol/image-reference.ts';
import type { LoadInput, StoredImage } from '../../src/protocol/images.ts';
import { readDockerArchive } from './archive/docker-archive.ts';
import { hasLayout, readOciArchive } from './archive/oci-archive.ts';
import { type ArchivedImage, unpackArchive } from './archive/unpacking.ts';
import { invalidImage } from './limits.ts';
import { checkPlatform, checkSizes, parseConfig } from './manifest.ts';
import { nameImage } from './store/list.ts';
import { clearLoads } from './store/removal.ts';
import type { ImageStore, StoreChange } from './store/store.ts';

/**
 * Loads all images of an archive; the caller holds the lock of the store. Verifies all of them before it stores the
 * first.
 *
 * @throws MonocoreError `Usage` for a file that cannot be read or an image without a name, `ImageInvalid`; the signal's
 * reason
 */
export async function loadImages(job: LoadInput, change: StoreChange): Promise<StoredImage[]> {
  const { store, signal, report } = change;
  const { path, max_image_size_bytes: maxImageBytes, platform } = job;
  await clearLoads(store);
  try {
    const archive = await unpackArchive(path, store.paths.partialDir, maxImageBytes, signal);
    const images = hasLayout(archive)
      ? await readOciArchive(archive, platform)
      : await readDockerArchive(archive, maxImageBytes, signal);
    const named = nameImages(images, job);
    for (const { image } of named) {
      checkSizes(image.manifest, maxImageBytes, path);
      const config = await readFile(image.blobs.get(image.manifest.config.digest)!.path);
      checkPlatform(parseConfig(config, image.manifest.layers.length, path), platform, path);
    }
    const stored: StoredImage[] = [];
    for (const { image, names } of named) {
      signal.throwIfAborted();
      for (const result of await keepImage(image, names, store)) {
        report({ type: 'stored', image: result });
        stored.push(result);
      }
    }
    return stored;
  } finally {
    await clearLoads(store);
  }
}

function nameImages(
  images: readonly ArchivedImage[],
  { path, name }: LoadInput,
): { image: ArchivedImage; names: string[] }[] {
  if (images.length === 0) throw invalidImage(`${path} contains no image`);
  if (name !== null && images.length > 1) {
    throw new MonocoreError('Usage', `${path} has ${images.length} images; --name is for an archive of one image`);
  }
  return images.map((image) => {
    const names = (name === null ? image.names : [name]).map(fullImageName);
    // A single word may be a tag, which would be parsed as a name.
    if (names.length > 0 && (name !== null || image.names.every((text) => /[:/]/.test(text)))) return { image, names };
    throw new MonocoreError('Usage', `${path} does not name its image; name it with --name`);
  });
}

async function keepImage(image: ArchivedImage, names: readonly string[], store: ImageStore): Promise<StoredImage[]> {
  const { bytes, digest, mediaType } = image;
  let unchanged = await store.has({ digest, size: bytes.length });
  for (const [blob, { path, size }] of image.blobs) {
    if (await store.has({ digest: blob, size })) continue;
    unchanged = false;
    await store.keep(path, blob);
  }
  await store.write(bytes);
  for (const name of names) await nameImage(store, name, { mediaType, digest, size: bytes.length });
  return names.map((name) => ({ name, digest, unchanged }));
}
