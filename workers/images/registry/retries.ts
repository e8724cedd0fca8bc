/** Retries requests after temporary failures. */
import { setTimeout as delay } from 'node:timers/promises';
import pRetry, { type Options } from 'p-retry';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import type { StoreChange } from '../store/store.ts';

/**
 * Number of retries after the first failure, and the first and the maximum delay in milliseconds; it doubles, with
 * jitter.
 */
export type RetryPolicy = Required<Pick<Options, 'retries' | 'minTimeout' | 'maxTimeout'>>;

export const DEFAULT_RETRIES: RetryPolicy = { retries: 5, minTimeout: 500, maxTimeout: 30_000 };

/** Maximum delay that a registry can request. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/** Temporary failure: a retry may succeed. */
export class PassingFailure extends Error {
  /** Delay that the registry requests with `Retry-After`; null for none. */
  readonly retryAfterMs: number | null;

  constructor(message: string, cause?: unknown, retryAfterMs: number | null = null) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

interface RetryContext extends Pick<StoreChange, 'signal' | 'report'> {
  readonly retries: RetryPolicy;
  /** Describes the request in messages. */
  readonly what: string;
  /** True if the attempt made enough progress not to count as a failure. */
  readonly hasAdvanced?: () => boolean;
}

/**
 * Runs `attempt` until it succeeds, fails permanently, or has failed too often.
 *
 * @throws the signal's reason, however the attempt then fails; the error of the attempt; MonocoreError
 * `ImageUnavailable` if a {@link PassingFailure} persists
 */
export async function withRetries<Result>(attempt: () => Promise<Result>, context: RetryContext): Promise<Result> {
  const { retries: policy, signal, report, what, hasAdvanced = () => false } = context;
  try {
    return await pRetry(attempt, {
      ...policy,
      randomize: true,
      signal,
      shouldConsumeRetry: () => !hasAdvanced(),
      async onFailedAttempt({ error, retriesLeft }) {
        signal.throwIfAborted();
        if (!(error instanceof PassingFailure)) throw error;
        if (retriesLeft === 0) return;
        if ((error.retryAfterMs ?? 0) > MAX_RETRY_AFTER_MS) throw error;
        report({ type: 'retry', what, reason: error.message, delay_ms: error.retryAfterMs ?? policy.minTimeout });
        if (error.retryAfterMs) await delay(error.retryAfterMs, undefined, { signal });
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PassingFailure)) throw error;
    throw new MonocoreError('ImageUnavailable', `${what}: ${error.message}`, { cause: error.cause });
  }
}

/** Codes of temporary connection errors. */
const PASSING = /^(ECONNRESET|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|HPE_\w+)$/;
const PASSING_OF_UNDICI = /^UND_ERR_(SOCKET|\w+_TIMEOUT|RES_CONTENT_LENGTH_MISMATCH|CLOSED|DESTROYED)$/;

/** Converts an error of undici to a {@link PassingFailure} or a MonocoreError `ImageUnavailable`. */
export function connectionFailure(error: unknown, host: string): Error {
  const code = errorCode(error) ?? '';
  if (PASSING.test(code) || PASSING_OF_UNDICI.test(code)) {
    return new PassingFailure(`the connection to ${host} broke (${errorText(error)})`, error);
  }
  // OpenSSL messages contain positions in its source code, so only their reason is shown.
  const isOfTls = error instanceof Error && 'reason' in error && typeof error.reason === 'string';
  const reason = isOfTls ? error.reason : code === 'ENOTFOUND' ? 'there is no host of that name' : errorText(error);
  const hint = UNTRUSTED.test(code) ? UNTRUSTED_HINT : (HINTS[code] ?? null);
  return new MonocoreError('ImageUnavailable', `${host} cannot be reached: ${reason || code}`, {
    cause: error,
    details: hint && { hint },
  });
}

/** Milliseconds in a `Retry-After` header, RFC 9110 section 10.2.3: seconds or a date; null if it is not valid. */
export function parseRetryAfterMs(header: string | string[] | undefined, nowMs: number): number | null {
  if (typeof header !== 'string') return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

export const PLAIN_HTTP_HINT =
  '--insecure allows it for registries on this host, --insecure-registry for one by its name, and insecure_registries of ' +
  '[images] for services';

/** OpenSSL codes for a certificate of an unknown authority: X509_STORE_CTX_get_error(3). */
const UNTRUSTED =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/;

/** Node reads the variable only at its start: https://nodejs.org/api/cli.html, `NODE_EXTRA_CA_CERTS=file`. */
const UNTRUSTED_HINT =
  'NODE_EXTRA_CA_CERTS names a PEM file of further authorities to trust; a daemon has what it was started with until ' +
  'monocore daemon restart';

/** Hints by error code; the first is OpenSSL's code for a server that does not speak TLS. */
const HINTS: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: `it may speak plain HTTP: ${PLAIN_HTTP_HINT}`,
  ENOTFOUND: 'check the name of the image, and the DNS and proxy settings of this host',
  ECONNREFUSED: 'check the port, and that a server listens there',
};
