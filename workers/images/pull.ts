/** Gets images from registries into the store. */
import pLimit from 'p-limit';
import { MonocoreError } from '../../src/lib/errors.ts';
import { formatImageReference, type ImageReference, parseImageReference } from '../../src/protocol/image-reference.ts';
import type { PullImagesJob, StoredImage } from '../../src/protocol/images.ts';
import {
  blobsOf,
  type Descriptor,
  type ImageManifest,
  MAX_CONFIG_BYTES,
  parseConfig,
  parseManifest,
} from './manifest.ts';
import { checkPlatform, choosePlatform } from './platform.ts';
import { type BlobSource, downloadBlob } from './registry/blob-download.ts';
import { type ManifestAnswer, RepositoryClient } from './registry/client.ts';
import { findCredentials } from './registry/credentials.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from './registry/retries.ts';
import { Routes } from './registry/routes.ts';
import { Transport } from './registry/transport.ts';
import type { Report } from './reporter.ts';
import { checkSizes, nameStored } from './store/intake.ts';
import type { ImageStore } from './store/store.ts';

/** Registries begin to refuse clients that open many more, and a few fill a line. */
const PARALLEL_LAYERS = 4;
/** An index may list indexes; more than this deep is no image. */
const MAX_INDEX_DEPTH = 3;

/** What a pull is given besides its job. */
export interface PullContext {
  readonly store: ImageStore;
  readonly signal: AbortSignal;
  readonly report: Report;
  /** In tests they are faster. */
  readonly retries?: RetryPolicy;
}

/**
 * Pulls images one after the other; the store is locked by the caller. Each is in the index when all its blobs are on
 * disk, so what a failure or a crash leaves of one is nothing, or blobs that a prune removes.
 *
 * @throws MonocoreError `Usage`, `ImageUnavailable`, `ImageInvalid`, `ConfigInvalid`; the signal's reason
 */
export async function pullImages(
  job: Omit<PullImagesJob, 'type' | 'port'>,
  context: PullContext,
): Promise<StoredImage[]> {
  const references = job.names.map(parseImageReference);
  const routes = new Routes(job.proxies);
  const stored: StoredImage[] = [];
  try {
    const transport = new Transport(job, routes, context.signal);
    for (const reference of references) {
      const image = await pullImage(reference, transport, job, context);
      context.report({ type: 'stored', image });
      stored.push(image);
    }
  } finally {
    await routes.destroy();
  }
  return stored;
}

async function pullImage(
  reference: ImageReference,
  transport: Transport,
  job: Omit<PullImagesJob, 'type' | 'port'>,
  { store, signal, report, retries = DEFAULT_RETRIES }: PullContext,
): Promise<StoredImage> {
  const name = formatImageReference(reference);
  report({ type: 'image', name });
  const client = new RepositoryClient(transport, reference, () =>
    findCredentials(job.dockerConfigPath, reference.registry, signal, (text) => report({ type: 'notice', text })),
  );
  const fetchManifest = (tagOrDigest: string): Promise<ManifestAnswer> =>
    withRetries(() => client.manifest(tagOrDigest), { policy: retries, signal, report, what: name });
  const { answer, manifest } = await resolveManifest(reference, fetchManifest, job, name);
  checkSizes(manifest, job.maxImageBytes, name);

  const image: Descriptor = {
    mediaType: manifest.mediaType ?? answer.mediaType,
    digest: answer.digest,
    size: answer.bytes.length,
  };
  const source: BlobSource = { client, store, signal, report, retries };
  const missing = await announceBlobs(manifest, source);
  const unchanged = missing.size === 0 && (await store.has(image));
  // The config first: it says in a few kilobytes whether the rest is worth its time.
  if (missing.has(manifest.config)) await downloadBlob(source, manifest.config);
  const config = await store.read(manifest.config.digest, MAX_CONFIG_BYTES);
  checkPlatform(parseConfig(config, manifest.layers.length, name), job.platform, name);
  missing.delete(manifest.config);
  await downloadAll(source, [...missing]);

  await store.write(answer.bytes);
  await nameStored(store, name, image);
  return { name, digest: image.digest, unchanged };
}

async function resolveManifest(
  reference: ImageReference,
  fetchManifest: (tagOrDigest: string) => Promise<ManifestAnswer>,
  { platform }: Pick<PullImagesJob, 'platform'>,
  name: string,
): Promise<{ answer: ManifestAnswer; manifest: ImageManifest }> {
  let wanted = reference.digest ?? reference.tag!;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    const answer = await fetchManifest(wanted);
    const document = parseManifest(answer.bytes, answer.mediaType, name);
    if ('config' in document) return { answer, manifest: document };
    wanted = choosePlatform(document.manifests, platform, name).digest;
  }
  throw new MonocoreError('ImageInvalid', `${name} is an index of indexes, deeper than ${MAX_INDEX_DEPTH}`);
}

/** Tells of all blobs, and gives back those that the store lacks. */
async function announceBlobs(manifest: ImageManifest, { store, report }: BlobSource): Promise<Set<Descriptor>> {
  const missing = new Set<Descriptor>();
  for (const blob of blobsOf(manifest)) {
    const present = await store.has(blob);
    report({ type: 'blob', digest: blob.digest, sizeBytes: blob.size, present });
    if (!present) missing.add(blob.digest === manifest.config.digest ? manifest.config : blob);
  }
  return missing;
}

/** The first failure calls the others off; nothing of them goes on when this has ended. */
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
        // Without the failure as its reason: what another layer has wrong says nothing of what the others have so far.
        failed.abort();
      }),
    ),
  );
  source.signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
