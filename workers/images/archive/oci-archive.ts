/** OCI image layouts in a tar: image-spec, image-layout.md. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { Platform } from '../../../src/protocol/images.ts';
import {
  blobsOf,
  type Descriptor,
  type ImageManifest,
  MAX_MANIFEST_BYTES,
  parseIndex,
  parseManifest,
} from '../manifest.ts';
import { choosePlatform } from '../platform.ts';
import { nameOf } from '../store/index-entries.ts';
import type { Archive, ArchivedImage, ArchiveFile } from './unpacking.ts';

/** As containerd and Docker write a name in full beside the tag of the specification. */
const FULL_NAME = 'io.containerd.image.name';
const MAX_INDEX_DEPTH = 3;

/** Whether an archive has an image layout. Docker's own archives have one too since version 25. */
export function hasLayout(archive: Archive): boolean {
  return archive.find('index.json') !== null && archive.find('oci-layout') !== null;
}

/**
 * The images of a layout for a platform.
 *
 * @throws MonocoreError `ImageInvalid` for what is missing, malformed, not what its digest says or for other platforms
 */
export async function readOciArchive(archive: Archive, platform: Platform): Promise<ArchivedImage[]> {
  const index = parseIndex(await archive.read('index.json', MAX_MANIFEST_BYTES), 'the index of the archive');
  const images = new Map<string, ArchivedImage>();
  // Entries of one name are variants of one image, unless an index of their own says so.
  for (const [name, entries] of groupByName(index.manifests)) {
    const entry = entries.length === 1 ? entries[0]! : choosePlatform(entries, platform, name ?? 'the archive');
    const { bytes, manifest, digest } = await resolve(archive, entry, platform);
    const names = [...(images.get(digest)?.names ?? []), ...(name === null ? [] : [name])];
    const blobs = new Map(blobsOf(manifest).map((blob) => [blob.digest, findBlob(archive, blob)]));
    images.set(digest, { names, bytes, manifest, blobs });
  }
  return [...images.values()];
}

async function resolve(
  archive: Archive,
  entry: Descriptor,
  platform: Platform,
): Promise<{ bytes: Buffer; manifest: ImageManifest; digest: string }> {
  let at = entry;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    findBlob(archive, at);
    const bytes = await archive.read(blobName(at.digest), MAX_MANIFEST_BYTES);
    const document = parseManifest(bytes, at.mediaType, at.digest);
    if ('config' in document) return { bytes, manifest: document, digest: at.digest };
    at = choosePlatform(document.manifests, platform, at.digest);
  }
  throw new MonocoreError('ImageInvalid', `the archive has an index of indexes, deeper than ${MAX_INDEX_DEPTH}`);
}

function findBlob(archive: Archive, { digest, size }: Descriptor): ArchiveFile {
  const file = archive.find(blobName(digest));
  if (!file) throw new MonocoreError('ImageInvalid', `the archive lacks the blob ${digest}`);
  if (file.digest === digest && file.size === size) return file;
  throw new MonocoreError(
    'ImageInvalid',
    `the archive has another blob as ${digest}: ${file.digest}, ${file.size} bytes`,
  );
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function archiveName(entry: Descriptor): string | null {
  return entry.annotations?.[FULL_NAME] ?? nameOf(entry);
}

/** In the place of Map.groupBy, which came with Node 21. */
function groupByName(entries: readonly Descriptor[]): Map<string | null, Descriptor[]> {
  const groups = new Map<string | null, Descriptor[]>();
  for (const entry of entries) {
    const name = archiveName(entry);
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return groups;
}
