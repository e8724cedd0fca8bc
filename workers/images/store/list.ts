/** List of the images in a store. */
import { type ImageSummary, nameOf } from '../../../src/protocol/images.ts';
import { blobsOf, type Descriptor, MAX_CONFIG_BYTES, parseConfig, parseManifest } from '../manifest.ts';
import { formatPlatform } from '../platform.ts';
import { pulledAtOf } from './index-entries.ts';
import { allocatedBytes, type ImageStore } from './store.ts';

/** Lists images by name, nameless ones last. @throws MonocoreError `ImageInvalid` for a damaged store */
export async function listImages(store: ImageStore): Promise<ImageSummary[]> {
  const { manifests } = await store.readIndex();
  const summaries: ImageSummary[] = [];
  for (const entry of manifests) {
    const summary = await summarize(store, entry);
    if (summary) summaries.push(summary);
  }
  return summaries.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** Summary of an image; null when it is removed meanwhile, since reading takes no lock. */
async function summarize(store: ImageStore, entry: Descriptor): Promise<ImageSummary | null> {
  const { digest } = entry;
  const name = nameOf(entry);
  const what = name ?? digest;
  try {
    const manifest = parseManifest(await store.readManifest(digest), entry.mediaType, what);
    if (!('config' in manifest)) return null;
    const { config: configBlob, layers } = manifest;
    const config = parseConfig(await store.read(configBlob.digest, MAX_CONFIG_BYTES), layers.length, what);
    return {
      name,
      digest,
      platform: config.os && config.architecture ? formatPlatform(config) : null,
      size_bytes: blobsOf(manifest).reduce((sum, { size }) => sum + size, entry.size),
      layers: layers.length,
      root_bytes: (await allocatedBytes(store.paths.root(digest))) || null,
      exposed_ports: Object.keys(config.config?.ExposedPorts ?? {}),
      created_at: config.created ?? null,
      pulled_at: pulledAtOf(entry),
    };
  } catch (error) {
    const { manifests } = await store.readIndex();
    if (manifests.every((other) => other.digest !== digest)) return null;
    throw error;
  }
}

function sortKey({ name, digest }: ImageSummary): string {
  return name === null ? `~${digest}` : name;
}
