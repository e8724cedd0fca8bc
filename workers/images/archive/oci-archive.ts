/** OCI image layouts in a tar: image-spec, image-layout.md. */
import { ImageIndexSchema, nameOf, type Platform } from '../../../src/protocol/images.ts';
import { invalidImage } from '../limits.ts';
import {
  blobsOf,
  choosePlatform,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  parseDocument,
  type ReceivedManifest,
  resolveManifest,
} from '../manifest.ts';
import type { Archive, ArchivedImage, ArchiveFile } from './unpacking.ts';

/** Annotation with the full name, which containerd and Docker write in addition to the tag of the specification. */
const FULL_NAME = 'io.containerd.image.name';

/** True if the archive contains an image layout. Archives of Docker 25 and later do, too. */
export function hasLayout(archive: Archive): boolean {
  return archive.find('index.json') !== null && archive.find('oci-layout') !== null;
}

/**
 * Reads the images of the archive.
 *
 * @throws MonocoreError `ImageInvalid` for a part that is missing, malformed, for other platforms or does not match its
 * digest
 */
export async function readOciArchive(archive: Archive, platform: Platform): Promise<ArchivedImage[]> {
  const bytes = await archive.read('index.json', MAX_MANIFEST_BYTES);
  const index = parseDocument(ImageIndexSchema, bytes, 'the index of the archive');
  const images = new Map<string, ArchivedImage>();
  // Entries with the same name are variants of one image.
  for (const [name, entries] of groupByName(index.manifests)) {
    const what = name ?? 'the archive';
    const entry = entries.length === 1 ? entries[0]! : choosePlatform(entries, platform, what);
    const read = (at: Descriptor) => readEntry(archive, at);
    const image = await resolveManifest(await read(entry), read, platform, what);
    const names = [...(images.get(image.digest)?.names ?? []), ...(name === null ? [] : [name])];
    const blobs = new Map(blobsOf(image.manifest).map((blob) => [blob.digest, findBlob(archive, blob)]));
    images.set(image.digest, { ...image, names, blobs });
  }
  return [...images.values()];
}

async function readEntry(archive: Archive, entry: Descriptor): Promise<ReceivedManifest> {
  findBlob(archive, entry);
  return { ...entry, bytes: await archive.read(blobName(entry.digest), MAX_MANIFEST_BYTES) };
}

function findBlob(archive: Archive, { digest, size }: Descriptor): ArchiveFile {
  const file = archive.find(blobName(digest));
  if (!file) throw invalidImage(`the archive lacks the blob ${digest}`);
  if (file.digest === digest && file.size === size) return file;
  throw invalidImage(`the archive has another blob as ${digest}: ${file.digest}, ${file.size} bytes`);
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Groups entries by name; `Map.groupBy` requires Node 21. */
function groupByName(entries: readonly Descriptor[]): Map<string | null, Descriptor[]> {
  const groups = new Map<string | null, Descriptor[]>();
  for (const entry of entries) {
    const name = entry.annotations?.[FULL_NAME] ?? nameOf(entry);
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return groups;
}
