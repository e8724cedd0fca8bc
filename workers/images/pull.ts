/** Pulls an image from its registry into the store. */
import pLimit from 'p-limit';
import { parseImageReference } from '../../src/protocol/image-reference.ts';
import type { JobInput, PullImageJob, StoredImage } from '../../src/protocol/images.ts';
import { invalidImage } from './limits.ts';
import {
  blobsOf,
  checkPlatform,
  checkSizes,
  choosePlatform,
  type Descriptor,
  type ImageManifest,
  MAX_INDEX_DEPTH,
  parseManifest,
} from './manifest.ts';
import { type BlobSource, downloadBlob } from './registry/blob-download.ts';
import { type ManifestAnswer, RepositoryClient } from './registry/client.ts';
import { findCredentials } from './registry/credentials.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from './registry/retries.ts';
import { Routes } from './registry/routes.ts';
import { Transport } from './registry/transport.ts';
import { nameImage } from './store/list.ts';
import type { StoreChange } from './store/store.ts';

/** A few downloads fill a line; registries refuse clients that open many more. */
const PARALLEL_LAYERS = 4;

/**
 * Pulls an image; the caller holds the store's lock. The image is in the index once all its blobs are on disk, so a
 * failure or crash leaves nothing of it but blobs that a prune removes.
 *
 * @throws MonocoreError `Usage`, `ImageUnavailable`, `ImageInvalid`, `ConfigInvalid`; the signal's reason
 */
export async function pullImage(
  job: JobInput<PullImageJob>,
  change: StoreChange,
  retries: RetryPolicy = DEFAULT_RETRIES,
): Promise<StoredImage> {
  const routes = new Routes(job.proxies);
  try {
    return await pullOver(new Transport(job, routes, change.signal), job, change, retries);
  } finally {
    await routes.destroy();
  }
}

async function pullOver(
  transport: Transport,
  job: JobInput<PullImageJob>,
  change: StoreChange,
  retries: RetryPolicy,
): Promise<StoredImage> {
  const { name, platform, max_image_size_bytes: maxImageBytes } = job;
  const { store, signal, report } = change;
  const reference = parseImageReference(name);
  report({ type: 'image', name });
  const client = new RepositoryClient(transport, reference, () =>
    findCredentials(job.docker_config, reference.registry, signal, (text) => report({ type: 'notice', text })),
  );
  const fetchManifest = (tagOrDigest: string): Promise<ManifestAnswer> =>
    withRetries(() => client.manifest(tagOrDigest), { ...change, retries, what: name });
  const { answer, manifest } = await resolveManifest(reference.digest ?? reference.tag!, fetchManifest, job);
  checkSizes(manifest, maxImageBytes, name);

  const image: Descriptor = {
    mediaType: manifest.mediaType ?? answer.mediaType,
    digest: answer.digest,
    size: answer.bytes.length,
  };
  const source: BlobSource = { ...change, client, retries };
  const missing = await announceBlobs(manifest, source);
  const unchanged = missing.size === 0 && (await store.has(image));
  // The config first: its few kilobytes tell whether the rest is worth downloading.
  if (missing.has(manifest.config)) await downloadBlob(source, manifest.config);
  checkPlatform(await store.readConfig(manifest, name), platform, name);
  missing.delete(manifest.config);
  await downloadAll(source, [...missing]);

  await store.write(answer.bytes);
  await nameImage(store, name, image);
  const stored = { name, digest: image.digest, unchanged };
  report({ type: 'stored', image: stored });
  return stored;
}

async function resolveManifest(
  tagOrDigest: string,
  fetchManifest: (tagOrDigest: string) => Promise<ManifestAnswer>,
  { platform, name }: JobInput<PullImageJob>,
): Promise<{ answer: ManifestAnswer; manifest: ImageManifest }> {
  let wanted = tagOrDigest;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    const answer = await fetchManifest(wanted);
    const document = parseManifest(answer.bytes, answer.mediaType, name);
    if ('config' in document) return { answer, manifest: document };
    wanted = choosePlatform(document.manifests, platform, name).digest;
  }
  throw invalidImage(`${name} is an index of indexes, deeper than ${MAX_INDEX_DEPTH}`);
}

/** Reports all blobs and returns those that the store lacks. */
async function announceBlobs(manifest: ImageManifest, { store, report }: BlobSource): Promise<Set<Descriptor>> {
  const missing = new Set<Descriptor>();
  for (const blob of blobsOf(manifest)) {
    const present = await store.has(blob);
    report({ type: 'blob', digest: blob.digest, size_bytes: blob.size, present });
    if (!present) missing.add(blob.digest === manifest.config.digest ? manifest.config : blob);
  }
  return missing;
}

/** Downloads blobs side by side. The first failure cancels the others; none of them runs on when this settles. */
async function downloadAll(source: BlobSource, blobs: readonly Descriptor[]): Promise<void> {
  const failures: unknown[] = [];
  const failed = new AbortController();
  const signal = AbortSignal.any([source.signal, failed.signal]);
  const limit = pLimit(PARALLEL_LAYERS);
  await Promise.all(
    blobs.map((blob) =>
      limit(async () => {
        signal.throwIfAborted();
        await downloadBlob({ ...source, signal }, blob);
      }).catch((error: unknown) => {
        failures.push(error);
        // Without the failure as its reason: a fault of one layer must not discard what the others have so far.
        failed.abort();
      }),
    ),
  );
  source.signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
