/**
 * What `docker save` wrote before it wrote image layouts, and what skopeo and podman write as `docker-archive`: moby's
 * image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format", `manifest.json`.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import * as v from 'valibot';
import { errorText, MonocoreError } from '../../../src/lib/errors.ts';
import {
  check,
  type Descriptor,
  type ImageManifest,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_MANIFEST,
  parseConfig,
  parseJson,
} from '../manifest.ts';
import type { ArchivedImage } from './archived-image.ts';
import { type Archive, type ArchiveFile, isGzip } from './unpacking.ts';

const ManifestSchema = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    Layers: v.pipe(v.array(v.string()), v.maxLength(1000)),
  }),
);

/**
 * The images of the archive. Layers have no digests there but those of their content in the config, against which they
 * are verified.
 *
 * @param maxBytes most bytes of a layer that is compressed, unpacked
 * @throws MonocoreError `ImageInvalid` for what is missing, malformed or not what its digest says
 */
export async function readDockerArchive(
  archive: Archive,
  maxBytes: number,
  signal: AbortSignal,
): Promise<ArchivedImage[]> {
  const what = 'manifest.json of the archive';
  const entries = check(ManifestSchema, parseJson(await archive.read('manifest.json', MAX_MANIFEST_BYTES), what), what);
  const images: ArchivedImage[] = [];
  for (const { Config, RepoTags, Layers } of entries) {
    const bytes = await archive.read(Config, MAX_CONFIG_BYTES);
    const config = archive.find(Config)!;
    const { rootfs } = parseConfig(bytes, Layers.length, JSON.stringify(Config));
    const blobs = new Map<string, ArchiveFile>([[config.digest, config]]);
    const layers: Descriptor[] = [];
    for (const [index, name] of Layers.entries()) {
      const file = archive.find(name);
      if (!file) throw new MonocoreError('ImageInvalid', `the archive lacks the layer ${JSON.stringify(name)}`);
      const mediaType = await verifyLayer(file, rootfs.diff_ids[index]!, maxBytes, signal);
      layers.push({ mediaType, digest: file.digest, size: file.size });
      blobs.set(file.digest, file);
    }
    const manifest: ImageManifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
      layers,
    };
    images.push({ names: RepoTags ?? [], bytes: Buffer.from(JSON.stringify(manifest)), manifest, blobs });
  }
  return images;
}

/** @returns the layer's media type */
async function verifyLayer(file: ArchiveFile, diffId: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  if (file.digest === diffId) return OCI_LAYER;
  if (await isGzip(file.path)) {
    if ((await digestUnpacked(file.path, maxBytes, signal)) === diffId) return `${OCI_LAYER}+gzip`;
  }
  throw new MonocoreError(
    'ImageInvalid',
    `a layer of the archive is not ${diffId}, which the config of its image lists`,
  );
}

async function digestUnpacked(path: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  const source = createReadStream(path, { signal });
  const unpacked = createGunzip();
  source.on('error', (error) => unpacked.destroy(error)).pipe(unpacked);
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new MonocoreError('ImageInvalid', 'a layer of the archive is too large when unpacked');
      hash.update(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MonocoreError) throw error;
    throw new MonocoreError('ImageInvalid', `a layer of the archive is damaged: ${errorText(error)}`, { cause: error });
  } finally {
    source.destroy();
  }
  return `sha256:${hash.digest('hex')}`;
}
