/**
 * Credentials of `docker login`: from Docker's config file, or from a helper program named there (docker/cli,
 * `cli/config/configfile`; docker/docker-credential-helpers, "client/command protocol"). They never appear in an
 * argument list, a message or an event.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import * as v from 'valibot';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import { DEFAULT_REGISTRY } from '../../../src/protocol/image-reference.ts';

export type Credentials =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  /** Refresh token for the registry's token service. */
  | { readonly type: 'identity-token'; readonly token: string };

/** Key of the default registry in Docker's config since its first version. */
const DEFAULT_REGISTRY_KEY = 'https://index.docker.io/v1/';

const Text = v.optional(v.string());
const AuthSchema = v.object({ auth: Text, username: Text, password: Text, identitytoken: Text });

const ConfigSchema = v.object({
  auths: v.optional(v.record(v.string(), AuthSchema), {}),
  credsStore: Text,
  credHelpers: v.optional(v.record(v.string(), v.string()), {}),
});

/**
 * Finds the credentials for a registry; null if there are none.
 *
 * @param onNotice receives notes for people, for example about a helper that is not installed
 * @throws MonocoreError `ConfigInvalid` for a file that cannot be read or parsed
 */
export async function findCredentials(
  configPath: string,
  registry: string,
  signal: AbortSignal,
  onNotice: (text: string) => void,
): Promise<Credentials | null> {
  const text = await readFile(configPath, 'utf8').catch((cause: unknown) => {
    if (errorCode(cause) === 'ENOENT' || errorCode(cause) === 'ENOTDIR') return null;
    throw new MonocoreError('ConfigInvalid', `${configPath} cannot be read: ${errorText(cause)}`, { cause });
  });
  if (text === null) return null;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ConfigSchema), text);
  // The message of a JSON parser would quote the text, which contains passwords.
  if (!parsed.success) throw new MonocoreError('ConfigInvalid', `${configPath} is not a Docker config`);
  const { auths, credsStore, credHelpers } = parsed.output;
  const key = registry === DEFAULT_REGISTRY ? DEFAULT_REGISTRY_KEY : registry;
  const helper = credHelpers[key] ?? credHelpers[registry] ?? credsStore;
  const entry = Object.entries(auths).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  const helped = helper ? await askHelper(helper, key, signal, onNotice) : null;
  return helped ?? (entry ? decode(entry) : null);
}

/** Host of a key, which may include a scheme and an API path. */
function hostOf(key: string): string {
  const host = key
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .toLowerCase();
  return host === DEFAULT_REGISTRY || host === 'registry-1.docker.io' ? 'index.docker.io' : host;
}

function decode({ auth, username, password, identitytoken }: v.InferOutput<typeof AuthSchema>): Credentials | null {
  if (identitytoken) return { type: 'identity-token', token: identitytoken };
  const pair = auth ? Buffer.from(auth, 'base64').toString('utf8') : null;
  // A password may contain colons, a user name cannot.
  const colon = pair?.indexOf(':') ?? -1;
  if (pair !== null && colon > 0) {
    return { type: 'password', username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, '') };
  }
  return username && password ? { type: 'password', username, password } : null;
}

/** Time for a helper, which may open a window and ask the user. */
const HELPER_TIMEOUT_MS = 60_000;
/** User name which indicates that the secret is a refresh token. */
const TOKEN_USERNAME = '<token>';

const HelperAnswerSchema = v.object({ Username: v.string(), Secret: v.string() });

/**
 * Asks a helper, `docker-credential-<name>`, with the name of the server on its standard input; null if it knows
 * nothing or is not installed.
 *
 * @throws MonocoreError `ImageUnavailable` if it fails otherwise; its output may be secret and is not shown
 */
async function askHelper(
  name: string,
  server: string,
  signal: AbortSignal,
  onNotice: (text: string) => void,
): Promise<Credentials | null> {
  const program = `docker-credential-${name}`;
  if (!/^[\w.-]+$/.test(name)) throw helperFailure(program, 'its name is not valid');
  try {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      signal: AbortSignal.any([signal, AbortSignal.timeout(HELPER_TIMEOUT_MS)]),
    });
    // If a helper does not read its input, its answer shows the failure.
    child.stdin.on('error', () => {}).end(server);
    const [answer, [code]] = await Promise.all([readText(child.stdout), once(child, 'close')]);
    if (code !== 0) {
      // See docker-credential-helpers, `credentials/error.go`; any other text is a failure.
      if (/credentials not found/.test(answer)) return null;
      throw helperFailure(program, `it ended with status ${code}`);
    }
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), HelperAnswerSchema), answer);
    if (!parsed.success) throw helperFailure(program, 'its answer is malformed');
    const { Username: username, Secret: secret } = parsed.output;
    if (secret === '') return null;
    if (username === TOKEN_USERNAME) return { type: 'identity-token', token: secret };
    return { type: 'password', username, password: secret };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MonocoreError) throw error;
    if (errorCode(error) !== 'ENOENT') throw helperFailure(program, errorText(error));
    onNotice(`${program}, which Docker's config names, is not installed; continuing without credentials`);
    return null;
  }
}

function helperFailure(program: string, reason: string): MonocoreError {
  return new MonocoreError('ImageUnavailable', `${program} gave no credentials: ${reason}`);
}
