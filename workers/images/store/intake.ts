/** What every image has to pass, and how it gets its name. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import { formatSize } from '../../../src/lib/units.ts';
import { blobsOf, type Descriptor, type ImageManifest, MAX_CONFIG_BYTES } from '../manifest.ts';
import { nameImage } from './index-entries.ts';
import type { ImageStore } from './store.ts';

/**
 * Checks sizes before anything is fetched; no more than what a descriptor says is taken later.
 *
 * @throws MonocoreError `ImageInvalid` for a config above 16 MiB, or blobs above `maxImageBytes` together
 */
export function checkSizes(manifest: ImageManifest, maxImageBytes: number, name: string): void {
  if (manifest.config.size > MAX_CONFIG_BYTES) {
    throw new MonocoreError('ImageInvalid', `the config of ${name} is larger than ${formatSize(MAX_CONFIG_BYTES)}`);
  }
  const totalBytes = blobsOf(manifest).reduce((sum, { size }) => sum + size, 0);
  if (totalBytes <= maxImageBytes) return;
  throw new MonocoreError(
    'ImageInvalid',
    `${name} has ${formatSize(totalBytes)}, the limit is ${formatSize(maxImageBytes)}`,
    {
      details: { hint: '--max-image-size allows more, for services max_image_size of [images]' },
    },
  );
}

/** Gives a name to an image whose blobs are all in the store. */
export async function nameStored(store: ImageStore, name: string, image: Descriptor): Promise<void> {
  const index = await store.readIndex();
  await store.writeIndex(nameImage(index, name, image, new Date().toISOString()));
}
