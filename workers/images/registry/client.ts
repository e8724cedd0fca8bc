/** Client of one repository: the OCI distribution specification, formerly Docker's registry API v2. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import { DEFAULT_REGISTRY, type ImageReference } from '../../../src/protocol/image-reference.ts';
import { invalidImage } from '../limits.ts';
import { digestOf, MANIFEST_TYPES, MAX_MANIFEST_BYTES, type ReceivedManifest } from '../manifest.ts';
import { createAuthorization } from './authorization.ts';
import type { Credentials } from './credentials.ts';
import { type Answer, discard, readBody, type Transport } from './transport.ts';

const DEFAULT_REGISTRY_HOST = 'registry-1.docker.io';

/** Requests to one repository. They are repeated only after a challenge for credentials. */
export type RepositoryClient = ReturnType<typeof createClient>;

export function createClient(
  transport: Transport,
  { registry, repository }: ImageReference,
  findCredentials: () => Promise<Credentials | null>,
) {
  const host = registry === DEFAULT_REGISTRY ? DEFAULT_REGISTRY_HOST : registry;
  const base = new URL(`${transport.schemeFor(host)}//${host}/v2/${repository}/`);
  const authorization = createAuthorization(transport, repository, findCredentials);
  /** `registry/repository`, for messages. */
  const name = `${registry}/${repository}`;

  async function get(path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const ask = { url: new URL(path, base), headers };
    const header = authorization.header();
    const answer = await transport.send({ ...ask, authorization: header });
    const challenge = answer.headers['www-authenticate'];
    // A challenge from a host other than the registry gets no credentials.
    if (answer.statusCode !== 401 || challenge === undefined || answer.url.origin !== base.origin) return answer;
    const renewed = await authorization.renew([challenge].flat().join(', '), header);
    if (renewed === null) return answer;
    discard(answer);
    return transport.send({ ...ask, authorization: renewed });
  }

  return {
    name,

    /**
     * Fetches a manifest or index by tag or digest.
     *
     * @throws PassingFailure; MonocoreError `ImageUnavailable`, `ImageInvalid` for a different digest or more than 4
     * MiB
     */
    async manifest(reference: string): Promise<ReceivedManifest> {
      const what = `${name} ${reference}`;
      const answer = await get(`manifests/${reference}`, { accept: MANIFEST_TYPES.join(', ') });
      if (answer.statusCode !== 200) throw refusal(answer, what);
      const bytes = await readBody(answer, MAX_MANIFEST_BYTES, what);
      const digest = digestOf(bytes);
      if (reference.startsWith('sha256:') && digest !== reference) {
        throw invalidImage(`${what}: the registry sent other content, with the digest ${digest}`);
      }
      return { bytes, digest, mediaType: String(answer.headers['content-type'] ?? '') };
    },

    /**
     * Opens a blob at `offset`: status 206, or if the registry cannot resume, 200 with the whole blob or 416.
     *
     * @throws like `manifest`
     */
    async blob(digest: string, offset: number): Promise<Answer> {
      const answer = await get(`blobs/${digest}`, {
        // With a content encoding, the bytes would not match the digest.
        'accept-encoding': 'identity',
        ...(offset > 0 ? { range: `bytes=${offset}-` } : {}),
      });
      const { statusCode: status } = answer;
      if (status === 200 || (offset > 0 && (status === 206 || status === 416))) return answer;
      throw refusal(answer, `${name} ${digest}`);
    },
  };
}

function refusal(answer: Answer, what: string): MonocoreError {
  discard(answer);
  const { statusCode: status } = answer;
  if (status === 404) return new MonocoreError('ImageUnavailable', `there is no ${what}`);
  if (status === 401 || status === 403) {
    return new MonocoreError('ImageUnavailable', `the registry refuses ${what} (status ${status})`, {
      details: { hint: 'it may not exist or need credentials, which monocore takes from docker login' },
    });
  }
  return new MonocoreError('ImageUnavailable', `the registry answers ${what} with status ${status}`);
}
