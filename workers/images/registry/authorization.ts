/**
 * `Authorization` header for one repository: Basic, or a token of the registry's token service (RFC 9110, section
 * 11.6.1).
 */
import * as v from 'valibot';
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { Credentials } from './credentials.ts';
import { type Ask, readBody, type Transport } from './transport.ts';

const MAX_TOKEN_ANSWER_BYTES = 2 ** 20;

/** Either name is possible, see `spec/auth/token.md` of the distribution project. OAuth uses `access_token`. */
const TokenSchema = v.object({ token: v.optional(v.string()), access_token: v.optional(v.string()) });

/**
 * Obtains read access to one repository and keeps it for later requests.
 *
 * @param findCredentials called once, at the first challenge
 */
export function createAuthorization(
  transport: Transport,
  repository: string,
  findCredentials: () => Promise<Credentials | null>,
) {
  let header: string | null = null;
  let known: Promise<Credentials | null> | null = null;
  let renewal: Promise<string | null> | null = null;

  async function answer(challenge: string): Promise<string | null> {
    const challenges = parseChallenges(challenge);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters ?? {};
    const { realm } = bearer;
    if (realm === undefined && !challenges.some(({ scheme }) => scheme === 'basic')) return null;
    if (realm !== undefined && !URL.canParse(realm)) {
      throw new MonocoreError('ImageUnavailable', 'the registry names a token service that is not a valid URL');
    }
    known ??= findCredentials();
    const credentials = await known;
    if (realm !== undefined) return fetchToken(new URL(realm), bearer, credentials);
    return credentials?.type === 'password' ? basic(credentials) : null;
  }

  async function fetchToken(
    url: URL,
    { service, scope = `repository:${repository}:pull` }: Challenge['parameters'],
    credentials: Credentials | null,
  ): Promise<string | null> {
    const wanted = new URLSearchParams({ ...(service === undefined ? {} : { service }), scope });
    let ask: Ask = { url, authorization: credentials?.type === 'password' ? basic(credentials) : null };
    if (credentials?.type === 'identity-token') {
      wanted.set('grant_type', 'refresh_token');
      wanted.set('client_id', 'monocore');
      wanted.set('refresh_token', credentials.token);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      ask = { url, headers, body: wanted.toString() };
    } else for (const [name, value] of wanted) url.searchParams.set(name, value);
    const reply = await transport.send(ask);
    const bytes = await readBody(reply, MAX_TOKEN_ANSWER_BYTES, `the answer of ${url.host}`);
    if (reply.statusCode !== 200) return null;
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), TokenSchema), bytes.toString('utf8'));
    const token = parsed.success ? parsed.output.token || parsed.output.access_token : null;
    if (token && /^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
    throw new MonocoreError('ImageUnavailable', `the token service ${url.host} sent no token`);
  }

  return {
    /** Header for the next request; null before the first challenge. */
    header: () => header,

    /**
     * Responds to a challenge. Concurrent requests share the response.
     *
     * @param used header of the challenged request
     * @returns the header to retry with; null if there is no better one
     * @throws PassingFailure, MonocoreError like `Transport.send`
     */
    async renew(challenge: string, used: string | null): Promise<string | null> {
      if (header !== used) return header;
      renewal ??= answer(challenge).finally(() => {
        renewal = null;
      });
      header = await renewal;
      return header;
    },
  };
}

function basic({ username, password }: Extract<Credentials, { type: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Challenge in a `WWW-Authenticate` header. Its scheme and the names of its parameters are in lower case. */
interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const SCHEME = /\s*,*\s*([A-Za-z][\w!#$%&'*+.^`|~-]*)(?:\s+|\s*$|\s*,)/y;
const PARAMETER = /\s*,?\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

/** Parses the header up to the first malformed part. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(header);
    if (found) at = pattern.lastIndex;
    return found;
  };
  for (let scheme = match(SCHEME); scheme; scheme = match(SCHEME)) {
    const parameters: Record<string, string> = {};
    for (let found = match(PARAMETER); found; found = match(PARAMETER)) {
      parameters[found[1]!.toLowerCase()] = found[2]?.replace(/\\(.)/g, '$1') ?? found[3]!;
    }
    challenges.push({ scheme: scheme[1]!.toLowerCase(), parameters });
  }
  return challenges;
}
