/** HTTP client for registries: redirects do not leak credentials, and plain HTTP must be allowed. */
import type { Readable } from 'node:stream';
import { request } from 'undici';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { isLoopbackRegistry } from '../../../src/protocol/image-reference.ts';
import type { PullRequest } from '../../../src/protocol/images.ts';
import { invalidImage } from '../limits.ts';
import { connectionFailure, PassingFailure, PLAIN_HTTP_HINT, parseRetryAfterMs } from './retries.ts';
import type { Routes } from './routes.ts';

/** Registries redirect once, to the storage of a blob. */
const MAX_REDIRECTS = 5;
/** Longest wait for the head of an answer, and between two pieces of it. */
const SILENCE_MS = 60_000;

/** Registries that are asked over plain HTTP. */
type InsecurePolicy = Pick<PullRequest, 'insecure_loopback' | 'insecure_registries'>;

/** An answer whose body must be read or discarded. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
  /** Origin after redirects. */
  readonly origin: string;
}

/** A request. `authorization` and `body` go only to the origin of `url`. */
interface Ask {
  readonly url: URL;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly authorization?: string | null;
  readonly body?: string;
  /** Ends the request and its answer, besides the pull's own signal. */
  readonly signal?: AbortSignal;
}

/** Sends requests for one pull. */
export class Transport {
  readonly #policy: InsecurePolicy;
  readonly #routes: Routes;
  readonly #signal: AbortSignal;

  constructor(policy: InsecurePolicy, routes: Routes, signal: AbortSignal) {
    this.#policy = policy;
    this.#routes = routes;
    this.#signal = signal;
  }

  /** Scheme for a host (`host` or `host:port`): `https:` unless plain HTTP is allowed for it. */
  schemeFor(host: string): 'http:' | 'https:' {
    const { insecure_loopback, insecure_registries } = this.#policy;
    const isPlain = insecure_registries.includes(host) || (insecure_loopback && isLoopbackRegistry(host));
    return isPlain ? 'http:' : 'https:';
  }

  /**
   * Sends a request and follows redirects.
   *
   * @throws PassingFailure for statuses 408, 429 and 5xx and for broken connections; MonocoreError `ImageUnavailable` when
   * the host cannot be reached, or a redirect is not followed; the signal's reason
   */
  async send(ask: Ask): Promise<Answer> {
    let { url } = ask;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      this.#checkScheme(url);
      const answer = await this.#sendOnce(ask, url);
      const location = answer.headers.location;
      if (answer.status < 301 || answer.status > 308 || answer.status === 304 || typeof location !== 'string') {
        return answer;
      }
      discard(answer);
      if (!URL.canParse(location, url.href)) {
        throw new MonocoreError('ImageUnavailable', `${url.host} redirects to a malformed address`);
      }
      url = new URL(location, url);
    }
    throw new MonocoreError('ImageUnavailable', `${ask.url.host} redirects more than ${MAX_REDIRECTS} times`);
  }

  async #sendOnce(ask: Ask, url: URL): Promise<Answer> {
    const { method = 'GET', headers, authorization, body } = ask;
    const isOwn = url.origin === ask.url.origin;
    const signal = ask.signal ? AbortSignal.any([this.#signal, ask.signal]) : this.#signal;
    const { dispatcher, proxy } = this.#routes.to(url);
    const { statusCode, ...response } = await request(url, {
      method,
      dispatcher,
      signal,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      headers: { ...headers, ...(isOwn && authorization ? { authorization } : {}) },
      ...(isOwn && body !== undefined ? { body } : {}),
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw connectionFailure(error, proxy === null ? url.host : `${url.host} through the proxy ${proxy}`);
    });
    const answer = { status: statusCode, headers: response.headers, body: response.body, origin: url.origin };
    if (statusCode === 408 || statusCode === 429 || statusCode >= 500) {
      discard(answer);
      const retryAfter = response.headers['retry-after'];
      throw new PassingFailure(`${url.host} answered with status ${statusCode}`, {
        retryAfterMs: parseRetryAfterMs(typeof retryAfter === 'string' ? retryAfter : undefined, Date.now()),
      });
    }
    return answer;
  }

  /** Refuses redirects and token services on plain HTTP, where anybody may listen. */
  #checkScheme({ protocol, host }: URL): void {
    if (protocol === 'https:' || (protocol === 'http:' && this.schemeFor(host) === 'http:')) return;
    throw new MonocoreError('ImageUnavailable', `plain HTTP to ${host} is not allowed`, {
      details: { hint: PLAIN_HTTP_HINT },
    });
  }
}

export function discard({ body }: Answer): void {
  body.on('error', () => {}).destroy();
}

/** Reads a body chunk by chunk. @throws PassingFailure when the connection breaks; the signal's reason */
export async function* readChunks({ body, origin }: Answer, signal?: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    signal?.throwIfAborted();
    // The reason of the pull's own signal.
    if (error instanceof MonocoreError) throw error;
    throw connectionFailure(error, new URL(origin).host);
  }
}

/** Reads the whole body. @throws MonocoreError `ImageInvalid` when it exceeds `maxBytes`; as {@link readChunks} */
export async function readBody(answer: Answer, maxBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readChunks(answer)) {
    size += chunk.length;
    if (size > maxBytes) throw invalidImage(`${what} is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
