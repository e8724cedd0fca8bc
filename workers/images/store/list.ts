/** Names and listing of the images in a store, from its `index.json`. */
import { type ImageSummary, NAME_ANNOTATION, nameOf } from '../../../src/protocol/images.ts';
import { blobsOf, type Descriptor, formatPlatform } from '../manifest.ts';
import { type ImageStore, statFile } from './store.ts';

/** Annotation with the RFC 3339 time at which the entry was added. */
const PULLED_AT = 'monocore.pulled-at';

/**
 * Names an image whose content is complete in the store. The image that had the name before stays, without a name
 * unless it has another one, because a service may use it. A named image has no nameless entry.
 */
export async function nameImage(store: ImageStore, name: string, image: Descriptor): Promise<void> {
  const index = await store.readIndex();
  const entry = { ...image, annotations: { [NAME_ANNOTATION]: name, [PULLED_AT]: new Date().toISOString() } };
  const manifests = index.manifests.map((old) => (nameOf(old) === name ? withoutName(old) : old));
  await store.writeIndex({ ...index, manifests: dropNameless([...manifests, entry]) });
}

function withoutName(entry: Descriptor): Descriptor {
  const { [NAME_ANNOTATION]: _, ...annotations } = entry.annotations ?? {};
  return { ...entry, annotations };
}

/** Drops nameless entries of images that have another entry. */
function dropNameless(manifests: readonly Descriptor[]): Descriptor[] {
  const seen = new Set(manifests.filter((entry) => nameOf(entry) !== null).map(({ digest }) => digest));
  return manifests.filter((entry) => nameOf(entry) !== null || (!seen.has(entry.digest) && seen.add(entry.digest)));
}

/** Lists images by name, nameless ones last. @throws MonocoreError `ImageInvalid` for a damaged store */
export async function listImages(store: ImageStore): Promise<ImageSummary[]> {
  const { manifests } = await store.readIndex();
  const summaries: ImageSummary[] = [];
  for (const entry of manifests) {
    const summary = await summarize(store, entry);
    if (summary) summaries.push(summary);
  }
  const sortKey = ({ name, digest }: ImageSummary) => name ?? `~${digest}`;
  return summaries.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** Summary of an image; null if it is removed meanwhile, because reading takes no lock. */
async function summarize(store: ImageStore, entry: Descriptor): Promise<ImageSummary | null> {
  const { digest } = entry;
  const name = nameOf(entry);
  const what = name ?? digest;
  try {
    const manifest = await store.readManifest(digest, entry.mediaType, what);
    if (!('config' in manifest)) return null;
    const config = await store.readConfig(manifest, what);
    const root = await statFile(store.paths.root(digest));
    return {
      name,
      digest,
      platform: config.os && config.architecture ? formatPlatform(config) : null,
      size_bytes: blobsOf(manifest).reduce((sum, { size }) => sum + size, entry.size),
      layers: manifest.layers.length,
      // stat(2) counts blocks of 512 bytes.
      root_bytes: root && root.blocks * 512,
      exposed_ports: Object.keys(config.config?.ExposedPorts ?? {}),
      created_at: config.created ?? null,
      pulled_at: entry.annotations?.[PULLED_AT] ?? null,
    };
  } catch (error) {
    const { manifests } = await store.readIndex();
    if (manifests.every((other) => other.digest !== digest)) return null;
    throw error;
  }
}
