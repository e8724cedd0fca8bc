/** Programs that keep credentials for Docker, `docker-credential-<name>`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import * as v from 'valibot';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import type { Credentials } from './credentials.ts';

/** Helpers may ask a person, by a window of the desktop. */
const TIMEOUT_MS = 60_000;
/** Says that the secret is a refresh token, in the place of a name. */
const TOKEN_USERNAME = '<token>';

const AnswerSchema = v.object({ Username: v.string(), Secret: v.string() });

/**
 * Asks a helper with the server's name on its standard input; null when it has nothing or is not installed.
 *
 * @throws MonocoreError `ImageUnavailable` when it fails in any other way; what it printed is not told, as it may be
 * secret
 */
export async function askHelper(
  name: string,
  server: string,
  signal: AbortSignal,
  onNotice: (text: string) => void,
): Promise<Credentials | null> {
  const program = `docker-credential-${name}`;
  if (!/^[\w.-]+$/.test(name)) throw failure(program, 'its name makes no sense');
  try {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    // One that does not read its input shows in its answer.
    child.stdin.on('error', () => {}).end(server);
    const [answer, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>]);
    if (code !== 0) {
      // docker-credential-helpers, `credentials/error.go`; other texts mean that it is out of order.
      if (/credentials not found/.test(answer)) return null;
      throw failure(program, `it ended with status ${code}`);
    }
    return parseAnswer(answer, program);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MonocoreError) throw error;
    if (errorCode(error) !== 'ENOENT') throw failure(program, errorText(error));
    onNotice(`${program}, which Docker's config names, is not installed: going on without credentials`);
    return null;
  }
}

function parseAnswer(answer: string, program: string): Credentials | null {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), AnswerSchema), answer);
  if (!parsed.success) throw failure(program, 'its answer makes no sense');
  const { Username: username, Secret: secret } = parsed.output;
  if (secret === '') return null;
  if (username === TOKEN_USERNAME) return { type: 'identity-token', token: secret };
  return { type: 'password', username, password: secret };
}

function failure(program: string, reason: string): MonocoreError {
  return new MonocoreError('ImageUnavailable', `${program} gave no credentials: ${reason}`);
}
