/** Client of one repository: the OCI distribution specification, formerly Docker's registry API v2. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import { DEFAULT_REGISTRY, type ImageReference } from '../../../src/protocol/image-reference.ts';
import { invalidImage } from '../limits.ts';
import { digestOf, MANIFEST_TYPES, MAX_MANIFEST_BYTES } from '../manifest.ts';
import { Authorization } from './authorization.ts';
import type { Credentials } from './credentials.ts';
import { type Answer, discard, readBody, type Transport } from './transport.ts';

const DEFAULT_REGISTRY_HOST = 'registry-1.docker.io';

/** A manifest or index as received, verified when its digest was known. */
export interface ManifestAnswer {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly mediaType: string;
}

/** Requests manifests and blobs. Retries only after a challenge for credentials. */
export class RepositoryClient {
  readonly #transport: Transport;
  readonly #base: URL;
  /** `registry/repository`, for messages. */
  readonly name: string;
  readonly #authorization: Authorization;

  constructor(
    transport: Transport,
    { registry, repository }: ImageReference,
    findCredentials: () => Promise<Credentials | null>,
  ) {
    const host = registry === DEFAULT_REGISTRY ? DEFAULT_REGISTRY_HOST : registry;
    this.#transport = transport;
    this.#base = new URL(`${transport.schemeFor(host)}//${host}/v2/${repository}/`);
    this.name = `${registry}/${repository}`;
    this.#authorization = new Authorization(transport, repository, findCredentials);
  }

  /**
   * Fetches a manifest or index by a tag or digest.
   *
   * @throws PassingFailure; MonocoreError `ImageUnavailable`, `ImageInvalid` for another digest or more than 4 MiB
   */
  async manifest(reference: string): Promise<ManifestAnswer> {
    const what = `${this.name} ${reference}`;
    const answer = await this.#get(`manifests/${reference}`, { accept: MANIFEST_TYPES.join(', ') });
    if (answer.status !== 200) throw refusal(answer, what);
    const bytes = await readBody(answer, MAX_MANIFEST_BYTES, what);
    const digest = digestOf(bytes);
    if (reference.startsWith('sha256:') && digest !== reference) {
      throw invalidImage(`${what}: the registry sent other content, with the digest ${digest}`);
    }
    return { bytes, digest, mediaType: String(answer.headers['content-type'] ?? '') };
  }

  /**
   * Opens a blob at `offset`: status 206, or 200 with all of it or 416 where the registry cannot resume. The signal ends
   * the request and its answer.
   *
   * @throws as {@link manifest}; the signal's reason
   */
  async blob(digest: string, offset: number, signal: AbortSignal): Promise<Answer> {
    const headers = {
      // Compressed in transit it would not have the digest.
      'accept-encoding': 'identity',
      ...(offset > 0 ? { range: `bytes=${offset}-` } : {}),
    };
    const answer = await this.#get(`blobs/${digest}`, headers, signal);
    const isExpected = answer.status === 200 || (offset > 0 && (answer.status === 206 || answer.status === 416));
    if (!isExpected) throw refusal(answer, `${this.name} ${digest}`);
    return answer;
  }

  async #get(path: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Answer> {
    const ask = { url: new URL(path, this.#base), headers, ...(signal && { signal }) };
    const authorization = this.#authorization.header;
    const answer = await this.#transport.send({ ...ask, authorization });
    const challenge = answer.headers['www-authenticate'];
    // A challenge from another host than the registry gets no credentials.
    if (answer.status !== 401 || challenge === undefined || answer.origin !== ask.url.origin) return answer;
    const renewed = await this.#authorization.renew([challenge].flat().join(', '), authorization);
    if (renewed === null) return answer;
    discard(answer);
    return this.#transport.send({ ...ask, authorization: renewed });
  }
}

function refusal(answer: Answer, what: string): MonocoreError {
  discard(answer);
  const { status } = answer;
  if (status === 404) return new MonocoreError('ImageUnavailable', `there is no ${what}`);
  if (status === 401 || status === 403) {
    return new MonocoreError('ImageUnavailable', `the registry refuses ${what} (status ${status})`, {
      details: { hint: 'it may not exist or need credentials, which monocore takes from docker login' },
    });
  }
  return new MonocoreError('ImageUnavailable', `the registry answers ${what} with status ${status}`);
}
