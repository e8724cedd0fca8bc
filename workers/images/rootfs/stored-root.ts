/** Makes what services boot from of an image in the store. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { BuildRootImageJob } from '../../../src/protocol/images.ts';
import { defaultsOf, MAX_CONFIG_BYTES, OCI_MANIFEST, parseConfig, parseManifest } from '../manifest.ts';
import { type ImageStore, sizeOf, writeDurably } from '../store/store.ts';
import { buildRootImage } from './build.ts';
import { DEFAULT_MAX_ENTRIES } from './source.ts';

/**
 * Makes the root of an image and its record, unless they are there. The root comes last, so it is never there without
 * its record. The store is locked by the caller.
 *
 * @throws MonocoreError `ImageInvalid` when the store lacks a part of the image, or a layer is refused; the signal's reason
 */
export async function buildRoot(
  { digest, maxImageBytes }: Pick<BuildRootImageJob, 'digest' | 'maxImageBytes'>,
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
  const limits = { maxImageBytes, maxEntries: DEFAULT_MAX_ENTRIES };
  await buildRootImage({ layers, outputPath: paths.root(digest), limits }, signal);
}
