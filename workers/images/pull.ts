/** Pulls an image from its registry into the store. */
import pLimit from 'p-limit';
import { parseImageReference } from '../../src/protocol/image-reference.ts';
import type { PullInput, StoredImage } from '../../src/protocol/images.ts';
import {
  blobsOf,
  checkPlatform,
  checkSizes,
  type Descriptor,
  type ReceivedManifest,
  resolveManifest,
} from './manifest.ts';
import { type BlobSource, downloadBlob } from './registry/blob-download.ts';
import { createClient } from './registry/client.ts';
import { findCredentials } from './registry/credentials.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from './registry/retries.ts';
import { openTransport } from './registry/transport.ts';
import { nameImage } from './store/list.ts';
import type { StoreChange } from './store/store.ts';

/**
 * Maximum number of parallel downloads. A few saturate a connection, and registries reject clients that open many more.
 */
const PARALLEL_LAYERS = 4;

/**
 * Pulls an image; the caller holds the lock of the store. The image is added to the index after all its blobs are on
 * disk, so a failure or crash leaves only blobs, which a prune removes.
 *
 * @throws MonocoreError `Usage`, `ImageUnavailable`, `ImageInvalid`, `ConfigInvalid`; the signal's reason
 */
export async function pullImage(
  job: PullInput,
  change: StoreChange,
  retries: RetryPolicy = DEFAULT_RETRIES,
): Promise<StoredImage> {
  const { name, platform } = job;
  const { store, report } = change;
  const reference = parseImageReference(name);
  const failed = new AbortController();
  const signal = AbortSignal.any([change.signal, failed.signal]);
  const transport = openTransport(job, signal);
  const client = createClient(transport, reference, () =>
    findCredentials(job.docker_config, reference.registry, signal, (text) => report({ type: 'notice', text })),
  );
  const source: BlobSource = { store, report, signal, client, retries };

  /** Downloads blobs in parallel. The first failure cancels the others; all have ended when this settles. */
  async function download(blobs: readonly Descriptor[]): Promise<void> {
    let failure: unknown = null;
    await pLimit(PARALLEL_LAYERS).map(blobs, (blob) =>
      downloadBlob(source, blob).catch((error: unknown) => {
        failure ??= error;
        // The failure is not passed on as the reason: a bad layer must not make the others discard their partial
        // downloads.
        failed.abort();
      }),
    );
    change.signal.throwIfAborted();
    if (failure !== null) throw failure;
  }

  report({ type: 'image', name });
  try {
    const fetchManifest = (tagOrDigest: string): Promise<ReceivedManifest> =>
      withRetries(() => client.manifest(tagOrDigest), { ...source, what: name });
    const first = await fetchManifest(reference.digest ?? reference.tag!);
    const resolved = await resolveManifest(first, (entry) => fetchManifest(entry.digest), platform, name);
    const { bytes, digest, mediaType, manifest } = resolved;
    checkSizes(manifest, job.max_image_size_bytes, name);
    const missing: Descriptor[] = [];
    for (const blob of blobsOf(manifest)) {
      const present = await store.has(blob);
      report({ type: 'blob', digest: blob.digest, size_bytes: blob.size, present });
      if (!present) missing.push(blob);
    }
    const unchanged = missing.length === 0 && (await store.has({ digest, size: bytes.length }));
    // The config comes first: its few kilobytes show whether the rest is worth downloading.
    await download(missing.filter((blob) => blob.digest === manifest.config.digest));
    checkPlatform(await store.readConfig(manifest, name), platform, name);
    await download(missing.filter((blob) => blob.digest !== manifest.config.digest));
    await store.write(bytes);
    await nameImage(store, name, { mediaType, digest, size: bytes.length });
    const stored = { name, digest, unchanged };
    report({ type: 'stored', image: stored });
    return stored;
  } finally {
    await transport.close();
  }
}
