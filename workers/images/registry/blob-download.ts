/**
 * Downloads one blob: verifies it while streaming, resumes it after an interruption, and keeps it only when complete.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { errorCode } from '../../../src/lib/errors.ts';
import { invalidImage } from '../limits.ts';
import type { Descriptor } from '../manifest.ts';
import type { StoreChange } from '../store/store.ts';
import type { RepositoryClient } from './client.ts';
import { PassingFailure, type RetryPolicy, withRetries } from './retries.ts';
import { type Answer, discard, readChunks } from './transport.ts';

/**
 * Progress that makes an attempt count as successful, because a large blob over a bad connection arrives in many
 * pieces. It is measured beyond the farthest earlier attempt; otherwise a registry that cannot resume would be tried
 * forever.
 */
const ADVANCE_BYTES = 2 ** 20;

/** Source and destination of blobs. */
export interface BlobSource extends StoreChange {
  readonly client: RepositoryClient;
  readonly retries: RetryPolicy;
}

/**
 * Downloads a blob into the store. After a cancellation or a broken connection the partial file is kept; a file that
 * does not match its digest is removed.
 *
 * @throws MonocoreError `ImageInvalid`, `ImageUnavailable`; the signal's reason; the system error
 */
export async function downloadBlob(source: BlobSource, { digest, size }: Descriptor): Promise<void> {
  const { client, store, signal, report } = source;
  signal.throwIfAborted();
  const path = store.paths.partial(digest);
  const what = `${client.name} ${digest}`;
  const file = await open(path, 'a', 0o600);
  // Covers the same bytes as the file.
  let hash = createHash('sha256');
  let doneBytes = 0;
  /** Number of bytes that the farthest attempt reached. */
  let farthestBytes = 0;

  async function startAnew(): Promise<void> {
    await file.truncate(0);
    hash = createHash('sha256');
    doneBytes = 0;
  }

  async function attempt(): Promise<void> {
    farthestBytes = Math.max(farthestBytes, doneBytes);
    if (doneBytes === size) return;
    const answer = await client.blob(digest, doneBytes);
    if (!continues(answer, doneBytes)) await startAnew();
    if (answer.statusCode === 416) {
      discard(answer);
      throw new PassingFailure('the registry cannot resume the download');
    }
    // A failed write is not retried: the next attempt would find the disk just as full.
    for await (const chunk of readChunks(answer)) {
      if (doneBytes + chunk.length > size) {
        throw invalidImage(`${what}: the registry sent more than its ${size} bytes`);
      }
      await file.appendFile(chunk);
      hash.update(chunk);
      doneBytes += chunk.length;
      report({ type: 'bytes', digest, done_bytes: doneBytes });
    }
    if (doneBytes < size) throw new PassingFailure(`it ended after ${doneBytes} of ${size} bytes`);
  }

  async function download(): Promise<string> {
    const hasAdvanced = () => doneBytes >= farthestBytes + ADVANCE_BYTES;
    await withRetries(attempt, { ...source, what, hasAdvanced });
    return `sha256:${hash.digest('hex')}`;
  }

  try {
    for await (const chunk of createReadStream(path, { signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      doneBytes += chunk.length;
    }
    if (doneBytes > size) await startAnew();
    report({ type: 'bytes', digest, done_bytes: doneBytes });
    const isResumed = doneBytes > 0;
    let found = await download();
    if (found !== digest && isResumed) {
      // A full disk or a power failure may have damaged the remains of an earlier pull.
      await startAnew();
      farthestBytes = 0;
      found = await download();
    }
    if (found !== digest) throw invalidImage(`${what}: the registry sent other content: ${found}`);
    await file.sync();
  } catch (error) {
    if (errorCode(error) === 'ImageInvalid') await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await store.keep(path, digest);
  report({ type: 'kept', digest });
}

/** True if an answer continues at `offset`, see RFC 9110 section 14.4, which not every proxy follows. */
function continues({ statusCode, headers }: Answer, offset: number): boolean {
  if (offset === 0) return true;
  return statusCode === 206 && new RegExp(`^bytes ${offset}-`).test(String(headers['content-range'] ?? ''));
}
