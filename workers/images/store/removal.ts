/** Takes images out of the store: names first, and then the blobs that no image has any more. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { formatImageReference, parseImageReference } from '../../../src/protocol/image-reference.ts';
import type { PruneImagesJob, RemovedImages, RemoveImagesJob } from '../../../src/protocol/images.ts';
import { blobsOf, type Descriptor, type ImageIndex, OCI_MANIFEST, parseManifest } from '../manifest.ts';
import { dropEntries, nameOf } from './index-entries.ts';
import { allocatedBytes, type ImageStore, sizeOf } from './store.ts';
import { readUses } from './uses.ts';

/** Fewer digits of a digest could be meant as a name. */
const DIGEST_PREFIX = /^(?:sha256:)?([a-f0-9]{6,64})$/;

/**
 * Removes names. A crash in between leaves blobs that a prune removes; an image is never there in part.
 *
 * @throws MonocoreError `ImageUnknown`, `ImageInUse`, `Usage`, `Internal` for a state file that cannot be read: nothing is
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
 * Removes images without a name that are not in use, all blobs of no image, roots of no service, and what broken
 * downloads left.
 *
 * @throws MonocoreError `ImageInvalid` when a manifest cannot be read: what it needs is not known then; `Internal` when a
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

/** Removes what is in the partial folder, or only what an interrupted load left there. Returns the bytes. */
export async function clearPartial({ paths }: ImageStore, prefix = ''): Promise<number> {
  let freedBytes = 0;
  for (const file of await readdir(paths.partialDir)) {
    if (!file.startsWith(prefix)) continue;
    freedBytes += (await sizeOf(join(paths.partialDir, file))) ?? 0;
    await rm(join(paths.partialDir, file), { force: true });
  }
  return freedBytes;
}

/** Removes roots that no service uses, and what a build that was cut off has left. Returns the bytes. */
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

/** The blobs of all images, and of those that are in use though no entry has them. */
async function findLiveBlobs(store: ImageStore, index: ImageIndex, inUse: Iterable<string>): Promise<Set<string>> {
  const live = new Set<string>();
  for (const { digest } of index.manifests) for (const blob of await reach(store, digest, 'must-work')) live.add(blob);
  for (const digest of inUse) for (const blob of await reach(store, digest, 'may-fail')) live.add(blob);
  return live;
}

/** A manifest's digest and those of its blobs; with `may-fail` only the first where it cannot be read. */
async function reach(store: ImageStore, digest: string, failing: 'may-fail' | 'must-work'): Promise<string[]> {
  try {
    // Those of OCI may leave their type out, those of Docker never do.
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
    throw new MonocoreError('Usage', `${name} is the beginning of several digests`);
  }
  if (byDigest.length > 0) return byDigest;
  const full = name.startsWith('sha256:') ? name : formatImageReference(parseImageReference(name));
  const found = manifests.filter((entry) => nameOf(entry) === full);
  if (found.length === 0) {
    throw new MonocoreError('ImageUnknown', `there is no image ${full}`, {
      details: { hint: 'monocore images shows those that there are' },
    });
  }
  return found;
}

function labelOf(entry: Descriptor): string {
  return nameOf(entry) ?? entry.digest;
}
