/** What to try when a registry cannot be reached safely. The commands have options for it, services the config. */
import { errorText } from '../../../src/lib/errors.ts';

export const PLAIN_HTTP_HINT =
  '--insecure allows it for registries on this host, --insecure-registry for one by its name, and insecure_registries of ' +
  '[images] for services';

/** Codes of OpenSSL for certificates of an authority that nobody knows here: X509_STORE_CTX_get_error(3). */
const UNTRUSTED =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/;

/** Node reads the variable when it starts: https://nodejs.org/api/cli.html, `NODE_EXTRA_CA_CERTS=file`. */
const UNTRUSTED_HINT =
  'NODE_EXTRA_CA_CERTS names a PEM file of further authorities to trust; a daemon has what it was started with until ' +
  'monocore daemon restart';

/** What a server answers that was addressed by TLS and does not speak it. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER';

/** What an error of a connection says, in one line: of OpenSSL's, which name places in its source, the reason alone. */
export function describeConnectionError(error: unknown): string {
  const isOfTls = error instanceof Error && 'reason' in error && typeof error.reason === 'string';
  return isOfTls ? (error.reason as string) : errorText(error);
}

/** The `details` for an error of a connection, by its code; undefined where nothing is to be said. */
export function adviseOn(code: string): { readonly hint: string } | undefined {
  if (UNTRUSTED.test(code)) return { hint: UNTRUSTED_HINT };
  if (code === NO_TLS) return { hint: `it may speak plain HTTP: ${PLAIN_HTTP_HINT}` };
  return undefined;
}
