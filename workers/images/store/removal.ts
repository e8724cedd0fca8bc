/** Removes images: first names, then the blobs that no image uses any more. Images used by services are kept. */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { MonocoreError, nullIfMissing } from '../../../src/lib/errors.ts';
import { readBounded } from '../../../src/lib/files.ts';
import { fullImageName } from '../../../src/protocol/image-reference.ts';
import { nameOf, type PruneInput, type RemovedImages, type RemoveInput } from '../../../src/protocol/images.ts';
import { MAX_BYTES } from '../../../src/protocol/input.ts';
import { blobsOf, type Descriptor, type ImageIndex } from '../manifest.ts';
import { type ImageStore, sizeOf } from './store.ts';

/** Prefix of files of a load in the partial folder, see `ImagePaths`. */
export const LOAD_PREFIX = 'load-';

/** Digest or the beginning of one; fewer digits could be a name. */
const DIGEST_PREFIX = /^(?:sha256:)?([a-f0-9]{6,64})$/;

/**
 * Removes names. After a crash in between, some blobs are left for a prune, but never a partial image.
 *
 * @throws MonocoreError `ImageUnknown`, `ImageInUse`, `Usage`, `Internal` for a state file that cannot be read; nothing
 * is removed then
 */
export async function removeImages(job: RemoveInput, store: ImageStore): Promise<RemovedImages> {
  const index = await store.readIndex();
  const uses = await readUses(job.stateDirs, index);
  const gone = new Set(job.names.flatMap((name) => findEntries(index, name)));
  const rest = withoutEntries(index, gone);
  const staying = new Set(rest.manifests.map(({ digest }) => digest));
  for (const entry of gone) {
    const services = uses.get(entry.digest);
    if (!services || staying.has(entry.digest)) continue;
    const names = [...services].sort();
    throw new MonocoreError('ImageInUse', `${labelOf(entry)} is used by ${names.join(', ')}`, {
      details: { hint: `monocore remove ${names.join(' ')} frees it` },
    });
  }
  const live = await findLiveBlobs(store, rest, uses.keys());
  const candidates = new Set<string>();
  for (const { digest } of gone)
    for (const blob of await reach(store, digest).catch(() => [digest])) candidates.add(blob);
  await store.writeIndex(rest);
  const { paths } = store;
  const unusedBlobs = [...candidates].filter((digest) => !live.has(digest)).map((digest) => paths.blob(digest));
  const unusedRoots = [...gone]
    .filter(({ digest }) => !staying.has(digest))
    .flatMap(({ digest }) => [paths.root(digest), paths.rootRecord(digest)]);
  return { removed: [...gone].map(labelOf), freed_bytes: await removeFiles([...unusedBlobs, ...unusedRoots]) };
}

/**
 * Removes unused images without a name, blobs that no image uses, root file systems that no service uses, and remains
 * of interrupted downloads.
 *
 * @throws MonocoreError `ImageInvalid` if a manifest cannot be read, because its blobs are then unknown; `Internal` if
 * a state file cannot be read
 */
export async function pruneImages(job: PruneInput, store: ImageStore): Promise<RemovedImages> {
  const index = await store.readIndex();
  const uses = await readUses(job.stateDirs, index);
  const gone = new Set(index.manifests.filter((entry) => nameOf(entry) === null && !uses.has(entry.digest)));
  const rest = withoutEntries(index, gone);
  const live = await findLiveBlobs(store, rest, uses.keys());
  if (gone.size > 0) await store.writeIndex(rest);
  const { paths } = store;
  const kept = new Set([
    ...[...live].map((digest) => paths.blob(digest)),
    ...[...uses.keys()].flatMap((digest) => [paths.root(digest), paths.rootRecord(digest)]),
  ]);
  const files = await Promise.all([paths.partialDir, paths.rootsDir, paths.blobsDir].map(listFiles));
  const freedBytes = await removeFiles(files.flat().filter((path) => !kept.has(path)));
  return { removed: [...gone].map(labelOf), freed_bytes: freedBytes };
}

async function listFiles(dir: string): Promise<string[]> {
  return (await readdir(dir)).map((name) => join(dir, name));
}

/** Removes files, ignoring missing ones. Returns the number of freed bytes. */
async function removeFiles(paths: readonly string[]): Promise<number> {
  let freedBytes = 0;
  for (const path of paths) {
    freedBytes += (await sizeOf(path)) ?? 0;
    await rm(path, { force: true });
  }
  return freedBytes;
}

/** Removes files of loads from the partial folder. */
export async function clearLoads({ paths }: ImageStore): Promise<void> {
  const files = await listFiles(paths.partialDir);
  await removeFiles(files.filter((path) => basename(path).startsWith(LOAD_PREFIX)));
}

/** Blobs of all images, including images in use that have no entry. */
async function findLiveBlobs(store: ImageStore, index: ImageIndex, inUse: Iterable<string>): Promise<Set<string>> {
  const live = new Set<string>();
  for (const { digest } of index.manifests) for (const blob of await reach(store, digest)) live.add(blob);
  for (const digest of inUse) for (const blob of await reach(store, digest).catch(() => [digest])) live.add(blob);
  return live;
}

/** Digests of a manifest and its blobs. */
async function reach(store: ImageStore, digest: string): Promise<string[]> {
  const manifest = await store.readManifest(digest);
  return 'config' in manifest ? [digest, ...blobsOf(manifest).map((blob) => blob.digest)] : [digest];
}

function findEntries({ manifests }: ImageIndex, name: string): Descriptor[] {
  const hex = DIGEST_PREFIX.exec(name)?.[1];
  const byDigest = hex === undefined ? [] : manifests.filter(({ digest }) => digest.startsWith(`sha256:${hex}`));
  if (new Set(byDigest.map(({ digest }) => digest)).size > 1) {
    throw new MonocoreError('Usage', `${name} matches several digests`);
  }
  if (byDigest.length > 0) return byDigest;
  const full = name.startsWith('sha256:') ? name : fullImageName(name);
  const found = manifests.filter((entry) => nameOf(entry) === full);
  if (found.length === 0) {
    throw new MonocoreError('ImageUnknown', `there is no image ${full}`, {
      details: { hint: 'monocore images lists the images' },
    });
  }
  return found;
}

function withoutEntries(index: ImageIndex, gone: ReadonlySet<Descriptor>): ImageIndex {
  return { ...index, manifests: index.manifests.filter((entry) => !gone.has(entry)) };
}

function labelOf(entry: Descriptor): string {
  return nameOf(entry) ?? entry.digest;
}

/** Part of a state file that refers to images, see `SavedStateSchema`. Earlier versions wrote `base` for `image`. */
const UseSchema = v.object({
  service: v.object({ name: v.string(), image: v.nullish(v.string()), base: v.nullish(v.string()) }),
  image_digest: v.nullish(v.string()),
});

/**
 * Services by the digest of the image that they run from, last ran from, or would start from.
 *
 * @throws MonocoreError `Internal` for a state file that cannot be parsed: it is then unknown what it uses
 */
async function readUses(stateDirs: readonly string[], index: ImageIndex): Promise<Map<string, Set<string>>> {
  const uses = new Map<string, Set<string>>();
  const note = (digest: string, service: string) => uses.set(digest, (uses.get(digest) ?? new Set()).add(service));
  for (const path of (await Promise.all(stateDirs.map(listStateFiles))).flat()) {
    const use = await readUse(path);
    if (use === null) continue;
    if (use.digest) note(use.digest, use.service);
    for (const entry of index.manifests) if (nameOf(entry) === use.image) note(entry.digest, use.service);
  }
  return uses;
}

async function listStateFiles(dir: string): Promise<string[]> {
  const paths = await listFiles(dir).catch(nullIfMissing);
  return (paths ?? []).filter((path) => path.endsWith('.json'));
}

/** Digest and full name of the image of a service. */
interface ImageUse {
  readonly service: string;
  readonly digest: string | null;
  readonly image: string | undefined;
}

/** Reads one state file; null if it has disappeared meanwhile. */
async function readUse(path: string): Promise<ImageUse | null> {
  try {
    const text = await readBounded(path, MAX_BYTES.state).catch(nullIfMissing);
    if (text === null) return null;
    const { service, image_digest } = v.parse(v.pipe(v.string(), v.parseJson(), UseSchema), text);
    const reference = service.image ?? service.base;
    const image = reference ? fullImageName(reference) : undefined;
    return { service: service.name, digest: image_digest ?? null, image };
  } catch (cause) {
    throw new MonocoreError(
      'Internal',
      `${path} cannot be read, so the image that it uses is unknown; nothing was removed`,
      { cause },
    );
  }
}
