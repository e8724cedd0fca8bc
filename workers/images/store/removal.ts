/** Removal of images: names first, then the blobs that no image has any more. Images that services use stay. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { errorCode, MonocoreError } from '../../../src/lib/errors.ts';
import { formatImageReference, parseImageReference } from '../../../src/protocol/image-reference.ts';
import { nameOf, type PruneImagesJob, type RemovedImages, type RemoveImagesJob } from '../../../src/protocol/images.ts';
import { blobsOf, type Descriptor, type ImageIndex, OCI_MANIFEST, parseManifest } from '../manifest.ts';
import { dropEntries } from './index-entries.ts';
import { allocatedBytes, type ImageStore, sizeOf } from './store.ts';

/** A digest or its beginning; fewer digits could be a name. */
const DIGEST_PREFIX = /^(?:sha256:)?([a-f0-9]{6,64})$/;

/**
 * Removes names. A crash in between leaves blobs for a prune, never a partial image.
 *
 * @throws MonocoreError `ImageUnknown`, `ImageInUse`, `Usage`, `Internal` for a state file that cannot be read; nothing is
 * removed then
 */
export async function removeImages(
  job: Omit<RemoveImagesJob, 'type' | 'imagesDir' | 'port'>,
  store: ImageStore,
): Promise<RemovedImages> {
  const index = await store.readIndex();
  const uses = await readUses(job.stateDirs, index);
  const gone = new Set(job.names.flatMap((name) => findEntries(index, name)));
  const rest = dropEntries(index, gone);
  const staying = new Set(rest.manifests.map(({ digest }) => digest));
  for (const entry of gone) {
    const services = uses.get(entry.digest);
    if (services && !staying.has(entry.digest)) throw inUse(entry, services);
  }
  const live = await findLiveBlobs(store, rest, uses.keys());
  const candidates = new Set<string>();
  for (const { digest } of gone) for (const blob of await reach(store, digest, 'may-fail')) candidates.add(blob);
  await store.writeIndex(rest);
  let freedBytes = 0;
  for (const digest of candidates) if (!live.has(digest)) freedBytes += await store.removeBlob(digest);
  for (const { digest } of gone) if (!staying.has(digest)) freedBytes += await store.removeRoot(digest);
  return { removed: [...gone].map(labelOf), freed_bytes: freedBytes };
}

/**
 * Removes unused images without a name, blobs of no image, roots of no service, and remains of interrupted downloads.
 *
 * @throws MonocoreError `ImageInvalid` when a manifest cannot be read, since its blobs are unknown then; `Internal` when a
 * state file cannot
 */
export async function pruneImages(
  job: Omit<PruneImagesJob, 'type' | 'imagesDir' | 'port'>,
  store: ImageStore,
): Promise<RemovedImages> {
  const index = await store.readIndex();
  const uses = await readUses(job.stateDirs, index);
  const gone = new Set(index.manifests.filter((entry) => nameOf(entry) === null && !uses.has(entry.digest)));
  const rest = dropEntries(index, gone);
  const live = await findLiveBlobs(store, rest, uses.keys());
  if (gone.size > 0) await store.writeIndex(rest);
  let freedBytes = (await clearPartial(store)) + (await clearRoots(store, uses));
  for (const file of await readdir(store.paths.blobsDir)) {
    if (live.has(`sha256:${file}`)) continue;
    const path = join(store.paths.blobsDir, file);
    freedBytes += (await sizeOf(path)) ?? 0;
    await rm(path, { force: true });
  }
  return { removed: [...gone].map(labelOf), freed_bytes: freedBytes };
}

/** Empties the partial folder, or removes only files with a prefix. Returns the freed bytes. */
export async function clearPartial({ paths }: ImageStore, prefix = ''): Promise<number> {
  let freedBytes = 0;
  for (const file of await readdir(paths.partialDir)) {
    if (!file.startsWith(prefix)) continue;
    freedBytes += (await sizeOf(join(paths.partialDir, file))) ?? 0;
    await rm(join(paths.partialDir, file), { force: true });
  }
  return freedBytes;
}

/** Removes roots that no service uses and remains of interrupted builds. Returns the freed bytes. */
async function clearRoots({ paths }: ImageStore, uses: ReadonlyMap<string, unknown>): Promise<number> {
  const kept = new Set([...uses.keys()].flatMap((digest) => [paths.root(digest), paths.rootRecord(digest)]));
  let freedBytes = 0;
  for (const file of await readdir(paths.rootsDir)) {
    const path = join(paths.rootsDir, file);
    if (kept.has(path)) continue;
    freedBytes += await allocatedBytes(path);
    await rm(path, { force: true });
  }
  return freedBytes;
}

function inUse(entry: Descriptor, services: ReadonlySet<string>): MonocoreError {
  const names = [...services].sort();
  return new MonocoreError('ImageInUse', `${labelOf(entry)} is used by ${names.join(', ')}`, {
    details: { hint: `monocore remove ${names.join(' ')} frees it` },
  });
}

/** Blobs of all images, and of images in use without an entry. */
async function findLiveBlobs(store: ImageStore, index: ImageIndex, inUse: Iterable<string>): Promise<Set<string>> {
  const live = new Set<string>();
  for (const { digest } of index.manifests) for (const blob of await reach(store, digest, 'must-work')) live.add(blob);
  for (const digest of inUse) for (const blob of await reach(store, digest, 'may-fail')) live.add(blob);
  return live;
}

/** Digests of a manifest and its blobs; with `may-fail` only the manifest's when it cannot be read. */
async function reach(store: ImageStore, digest: string, failing: 'may-fail' | 'must-work'): Promise<string[]> {
  try {
    // OCI manifests may omit their type, Docker's never do.
    const manifest = parseManifest(await store.readManifest(digest), OCI_MANIFEST, digest);
    return 'config' in manifest ? [digest, ...blobsOf(manifest).map((blob) => blob.digest)] : [digest];
  } catch (error) {
    if (failing === 'must-work') throw error;
    return [digest];
  }
}

function findEntries({ manifests }: ImageIndex, name: string): Descriptor[] {
  const hex = DIGEST_PREFIX.exec(name)?.[1];
  const byDigest = hex === undefined ? [] : manifests.filter(({ digest }) => digest.startsWith(`sha256:${hex}`));
  if (new Set(byDigest.map(({ digest }) => digest)).size > 1) {
    throw new MonocoreError('Usage', `${name} matches several digests`);
  }
  if (byDigest.length > 0) return byDigest;
  const full = name.startsWith('sha256:') ? name : formatImageReference(parseImageReference(name));
  const found = manifests.filter((entry) => nameOf(entry) === full);
  if (found.length === 0) {
    throw new MonocoreError('ImageUnknown', `there is no image ${full}`, {
      details: { hint: 'monocore images lists the images' },
    });
  }
  return found;
}

function labelOf(entry: Descriptor): string {
  return nameOf(entry) ?? entry.digest;
}

/** Part of a state file that names images, see `SavedStateSchema`. Earlier versions wrote `base` for `image`. */
const UseSchema = v.object({
  service: v.object({ name: v.string(), image: v.nullish(v.string()), base: v.nullish(v.string()) }),
  image_digest: v.nullish(v.string()),
});

/**
 * Services by the digest of the image that they run from, ran from last, or would start from.
 *
 * @throws MonocoreError `Internal` for a state file that cannot be understood: what it uses is not known then
 */
async function readUses(stateDirs: readonly string[], index: ImageIndex): Promise<Map<string, Set<string>>> {
  const uses = new Map<string, Set<string>>();
  const note = (digest: string, service: string) => uses.set(digest, (uses.get(digest) ?? new Set()).add(service));
  for (const path of (await Promise.all(stateDirs.map(listStateFiles))).flat()) {
    const document = await readUse(path);
    if (document === null) continue;
    const { service, image_digest } = document;
    if (image_digest) note(image_digest, service.name);
    const reference = service.image ?? service.base;
    if (reference) {
      const name = formatImageReference(parseImageReference(reference));
      for (const entry of index.manifests) if (nameOf(entry) === name) note(entry.digest, service.name);
    }
  }
  return uses;
}

async function listStateFiles(dir: string): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names.filter((name) => name.endsWith('.json')).map((name) => join(dir, name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Null for one that has gone meanwhile. */
async function readUse(path: string): Promise<v.InferOutput<typeof UseSchema> | null> {
  try {
    return v.parse(v.pipe(v.string(), v.parseJson(), UseSchema), await readFile(path, 'utf8'));
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new MonocoreError('Internal', `which image ${path} uses cannot be read; nothing was removed`, { cause });
  }
}
