/** Downloads one blob: verified as it streams, resumed after a break, and kept only when complete. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { errorCode, MonocoreError } from '../../../src/lib/errors.ts';
import { invalidImage } from '../limits.ts';
import type { Descriptor } from '../manifest.ts';
import { type StoreChange, sizeOf } from '../store/store.ts';
import type { RepositoryClient } from './client.ts';
import { PassingFailure, type RetryPolicy, withRetries } from './retries.ts';
import { type Answer, discard, readChunks } from './transport.ts';

/**
 * Progress with which an attempt does not count as failed: a large blob over a bad line arrives in many pieces. It is
 * measured beyond all attempts before, or a registry that cannot resume would be asked for ever.
 */
const ADVANCE_BYTES = 2 ** 20;

/** Source and destination of blobs. */
export interface BlobSource extends StoreChange {
  readonly client: RepositoryClient;
  readonly retries: RetryPolicy;
}

/**
 * Downloads a blob into the store. After a cancellation or a broken connection the partial file stays; one that does not
 * match its digest is removed.
 *
 * @throws MonocoreError `ImageInvalid`, `ImageUnavailable`; the signal's reason; the system's error
 */
export async function downloadBlob(source: BlobSource, descriptor: Descriptor): Promise<void> {
  const path = source.store.paths.partial(descriptor.digest);
  if (((await sizeOf(path)) ?? 0) > descriptor.size) await rm(path);
  const resumedBytes = (await sizeOf(path)) ?? 0;
  try {
    await downloadOnce(source, descriptor, path);
  } catch (error) {
    // A full disk or power cut may have damaged the remains of an earlier pull.
    if (resumedBytes === 0 || !(error instanceof DigestMismatch)) throw error;
    await downloadOnce(source, descriptor, path);
  }
  await source.store.keep(path, descriptor.digest);
  source.report({ type: 'kept', digest: descriptor.digest });
}

class DigestMismatch extends MonocoreError {}

async function downloadOnce(source: BlobSource, descriptor: Descriptor, path: string): Promise<void> {
  const { digest } = descriptor;
  const what = `${source.client.name} ${digest}`;
  const file = await open(path, 'a', 0o600);
  try {
    const download = new Download(source, descriptor, file);
    await download.resume(path);
    await withRetries(() => download.attempt(), { ...source, what, hasAdvanced: () => download.hasAdvanced() });
    const found = download.digest();
    if (found !== digest)
      throw new DigestMismatch('ImageInvalid', `${what}: the registry sent other content: ${found}`);
    await file.sync();
  } catch (error) {
    if (errorCode(error) === 'ImageInvalid') await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** State of a download over its attempts: the file and the hash always hold the same bytes. */
class Download {
  readonly #source: BlobSource;
  readonly #descriptor: Descriptor;
  /** Opened for appending. */
  readonly #file: FileHandle;
  #hash: Hash = createHash('sha256');
  #doneBytes = 0;
  /** Most bytes of the attempts before. */
  #farthestBytes = 0;

  constructor(source: BlobSource, descriptor: Descriptor, file: FileHandle) {
    this.#source = source;
    this.#descriptor = descriptor;
    this.#file = file;
  }

  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }

  hasAdvanced(): boolean {
    return this.#doneBytes >= this.#farthestBytes + ADVANCE_BYTES;
  }

  /** Hashes what the file already has. */
  async resume(path: string): Promise<void> {
    for await (const chunk of createReadStream(path, { signal: this.#source.signal }) as AsyncIterable<Buffer>) {
      this.#hash.update(chunk);
      this.#doneBytes += chunk.length;
    }
    this.#tell();
  }

  async attempt(): Promise<void> {
    const { client, signal } = this.#source;
    const { digest, size } = this.#descriptor;
    this.#farthestBytes = Math.max(this.#farthestBytes, this.#doneBytes);
    if (this.#doneBytes === size) return;
    const answer = await client.blob(digest, this.#doneBytes, signal);
    if (!continues(answer, this.#doneBytes)) await this.#startAnew();
    if (answer.status === 416) {
      discard(answer);
      throw new PassingFailure('the registry cannot resume the download');
    }
    // A failed write is not retried: the next attempt would find the disk just as full.
    for await (const chunk of readChunks(answer, signal)) await this.#append(chunk);
    if (this.#doneBytes < size) throw new PassingFailure(`it ended after ${this.#doneBytes} of ${size} bytes`);
  }

  async #append(chunk: Buffer): Promise<void> {
    const { digest, size } = this.#descriptor;
    if (this.#doneBytes + chunk.length > size) {
      throw invalidImage(`${this.#source.client.name} ${digest}: the registry sent more than its ${size} bytes`);
    }
    await this.#file.appendFile(chunk);
    this.#hash.update(chunk);
    this.#doneBytes += chunk.length;
    this.#tell();
  }

  async #startAnew(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash('sha256');
    this.#doneBytes = 0;
  }

  #tell(): void {
    this.#source.report({ type: 'bytes', digest: this.#descriptor.digest, done_bytes: this.#doneBytes });
  }
}

/** True when an answer continues at `offset`: RFC 9110 section 14.4, which not every proxy follows. */
function continues({ status, headers }: Answer, offset: number): boolean {
  if (offset === 0) return true;
  return status === 206 && new RegExp(`^bytes ${offset}-`).test(String(headers['content-range'] ?? ''));
}
