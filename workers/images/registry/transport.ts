/** HTTP client for registries: redirects do not leak credentials, and plain HTTP must be allowed explicitly. */
import { type Dispatcher, request } from 'undici';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { isLoopbackRegistry } from '../../../src/protocol/image-reference.ts';
import type { PullInput } from '../../../src/protocol/images.ts';
import { invalidImage } from '../limits.ts';
import { connectionFailure, PassingFailure, PLAIN_HTTP_HINT, parseRetryAfterMs } from './retries.ts';
import { openRoutes } from './routes.ts';

/** Maximum number of redirects; registries redirect once, to the storage of a blob. */
const MAX_REDIRECTS = 5;
/** Maximum wait for the head of an answer, and between two parts of its body. */
const SILENCE_MS = 60_000;

/** Answer whose body must be read or discarded. */
export interface Answer extends Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'> {
  /** Final URL after redirects. */
  readonly url: URL;
}

/** Request; with a body it is a POST. `authorization` and `body` are sent only to the origin of `url`. */
export interface Ask {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly authorization?: string | null;
  readonly body?: string;
}

export type Transport = ReturnType<typeof openTransport>;

/**
 * Opens the connections of one pull.
 *
 * @param signal aborts all requests and answers, which then fail with various errors
 */
export function openTransport(
  settings: Pick<PullInput, 'insecure_loopback' | 'insecure_registries' | 'proxies'>,
  signal: AbortSignal,
) {
  const routes = openRoutes(settings.proxies);

  /** Scheme for a host (`host` or `host:port`): `https:` unless plain HTTP is allowed for it. */
  function schemeFor(host: string): 'http:' | 'https:' {
    const isPlain =
      settings.insecure_registries.includes(host) || (settings.insecure_loopback && isLoopbackRegistry(host));
    return isPlain ? 'http:' : 'https:';
  }

  /**
   * Sends a request and follows redirects.
   *
   * @throws PassingFailure for statuses 408, 429 and 5xx and for broken connections; MonocoreError `ImageUnavailable`
   * if the host cannot be reached or a redirect is not followed
   */
  async function send(ask: Ask): Promise<Answer> {
    let { url } = ask;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      checkScheme(url);
      const answer = await sendOnce(ask, url);
      const { statusCode, headers } = answer;
      if (statusCode < 301 || statusCode > 308 || statusCode === 304 || typeof headers.location !== 'string') {
        return answer;
      }
      discard(answer);
      if (!URL.canParse(headers.location, url.href)) {
        throw new MonocoreError('ImageUnavailable', `${url.host} redirects to a malformed address`);
      }
      url = new URL(headers.location, url);
    }
    throw new MonocoreError('ImageUnavailable', `${ask.url.host} redirects more than ${MAX_REDIRECTS} times`);
  }

  async function sendOnce({ headers, authorization, ...ask }: Ask, url: URL): Promise<Answer> {
    const isOwn = url.origin === ask.url.origin;
    const body = isOwn && ask.body !== undefined ? ask.body : null;
    const { dispatcher, proxy } = routes.to(url);
    const response = await request(url, {
      method: body === null ? 'GET' : 'POST',
      body,
      dispatcher,
      signal,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      headers: { ...headers, ...(isOwn && authorization ? { authorization } : {}) },
    }).catch((error: unknown) => {
      throw connectionFailure(error, proxy === null ? url.host : `${url.host} through the proxy ${proxy}`);
    });
    const { statusCode } = response;
    if (statusCode === 408 || statusCode === 429 || statusCode >= 500) {
      discard(response);
      const retryAfterMs = parseRetryAfterMs(response.headers['retry-after'], Date.now());
      throw new PassingFailure(`${url.host} answered with status ${statusCode}`, undefined, retryAfterMs);
    }
    return { ...response, url };
  }

  /** Rejects redirects and token services that use plain HTTP, where anybody may be listening. */
  function checkScheme({ protocol, host }: URL): void {
    if (protocol === 'https:' || (protocol === 'http:' && schemeFor(host) === 'http:')) return;
    throw new MonocoreError('ImageUnavailable', `plain HTTP to ${host} is not allowed`, {
      details: { hint: PLAIN_HTTP_HINT },
    });
  }

  return { schemeFor, send, close: routes.destroy };
}

export function discard({ body }: Pick<Answer, 'body'>): void {
  body.on('error', () => {}).destroy();
}

/** Reads a body chunk by chunk. @throws PassingFailure if the connection breaks */
export async function* readChunks({ body, url }: Answer): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw connectionFailure(error, url.host);
  }
}

/**
 * Reads the whole body.
 *
 * @throws MonocoreError `ImageInvalid` if it exceeds `maxBytes`; others like {@link readChunks}
 */
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
