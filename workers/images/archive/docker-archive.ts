/**
 * Format of `docker save` before it wrote image layouts; called `docker-archive` by skopeo and podman: moby's
 * image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format", `manifest.json`.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { compressionOf, decompress } from '../layers/decompression.ts';
import { asContentError, invalidImage } from '../limits.ts';
import {
  type Descriptor,
  digestOf,
  type ImageManifest,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_MANIFEST,
  parseConfig,
  parseDocument,
} from '../manifest.ts';
import type { Archive, ArchivedImage, ArchiveFile } from './unpacking.ts';

const ManifestSchema = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    Layers: v.pipe(v.array(v.string()), v.maxLength(1000)),
  }),
);

/**
 * Reads the images of the archive. Verifies layers against the digests of their decompressed content in the config, the
 * only digests that such an archive has.
 *
 * @param maxBytes maximum bytes of a decompressed layer
 * @throws MonocoreError `ImageInvalid` for a part that is missing, malformed or does not match its digest
 */
export async function readDockerArchive(
  archive: Archive,
  maxBytes: number,
  signal: AbortSignal,
): Promise<ArchivedImage[]> {
  const document = await archive.read('manifest.json', MAX_MANIFEST_BYTES);
  const entries = parseDocument(ManifestSchema, document, 'manifest.json of the archive');
  const images: ArchivedImage[] = [];
  for (const { Config, RepoTags, Layers } of entries) {
    const bytes = await archive.read(Config, MAX_CONFIG_BYTES);
    const config = archive.find(Config)!;
    const { rootfs } = parseConfig(bytes, Layers.length, JSON.stringify(Config));
    const blobs = new Map<string, ArchiveFile>([[config.digest, config]]);
    const layers: Descriptor[] = [];
    for (const [index, name] of Layers.entries()) {
      const file = archive.find(name);
      if (!file) throw invalidImage(`the archive lacks the layer ${JSON.stringify(name)}`);
      const mediaType = await verifyLayer(file, rootfs.diff_ids[index]!, maxBytes, signal);
      layers.push({ mediaType, digest: file.digest, size: file.size });
      blobs.set(file.digest, file);
    }
    const descriptor = { mediaType: OCI_CONFIG, digest: config.digest, size: config.size };
    const manifest: ImageManifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor, layers };
    const encoded = Buffer.from(JSON.stringify(manifest));
    const received = { bytes: encoded, digest: digestOf(encoded), mediaType: OCI_MANIFEST };
    images.push({ ...received, manifest, names: RepoTags ?? [], blobs });
  }
  return images;
}

/** Verifies a layer. Returns its media type. */
async function verifyLayer(file: ArchiveFile, diffId: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  if (file.digest === diffId) return OCI_LAYER;
  const compression = await compressionOf(file.path);
  if (compression !== null && (await digestContent(file.path, maxBytes, signal)) === diffId) {
    return `${OCI_LAYER}+${compression}`;
  }
  throw invalidImage(`a layer of the archive is not ${diffId}, which the config of its image lists`);
}

async function digestContent(path: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  const count = (bytes: number) => {
    size += bytes;
    if (size > maxBytes) throw invalidImage('a layer of the archive is too large when decompressed');
  };
  try {
    for await (const chunk of decompress(path, signal, count)) hash.update(chunk);
  } catch (error) {
    signal.throwIfAborted();
    throw asContentError(error, 'a layer of the archive is damaged');
  }
  return `sha256:${hash.digest('hex')}`;
}
