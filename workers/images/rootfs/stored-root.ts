/** Builds the EROFS root file system of a stored image. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { BuildRootImageJob } from '../../../src/protocol/images.ts';
import { defaultsOf, MAX_CONFIG_BYTES, OCI_MANIFEST, parseConfig, parseManifest } from '../manifest.ts';
import { type ImageStore, sizeOf, writeDurably } from '../store/store.ts';
import { buildRootImage } from './build.ts';
import { DEFAULT_MAX_ENTRIES } from './source.ts';

/**
 * Builds the root of an image and writes its record, unless both exist. The root comes last, so it never exists without
 * its record. The caller holds the store's lock.
 *
 * @throws MonocoreError `ImageInvalid` when the store lacks a part of the image, or a layer is refused; the signal's reason
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
