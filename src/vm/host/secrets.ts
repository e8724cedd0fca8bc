/** Secrets of a service: read at its launch, sent to the guest with its job, and stored nowhere. Main thread. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/units.ts';
import type { Secret, Service } from '../../protocol/service.ts';

/** Maximum size of one secret, which is a key or a password. Volumes are for larger data. */
export const MAX_SECRET_BYTES = 512 * 1024;
/** Maximum size of all secrets of a service: they use the guest's memory, which may be as little as 112 MiB. */
export const MAX_SECRETS_BYTES = 8 * 2 ** 20;

/** Secret with its content. */
export interface SecretContent {
  /** Name of its file in the guest. */
  readonly name: string;
  readonly content: Buffer;
}

/** Reads one secret. @throws an error for people, or the system error */
async function readSecret({ name, path }: Secret): Promise<Buffer> {
  if (name === '' || name === '.' || name === '..' || /[/\0\n]/.test(name))
    throw new Error('its name is not a valid file name');
  if (!path.startsWith('/')) throw new Error('its path is not absolute');
  // Without O_NONBLOCK, opening a FIFO would wait for its other end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new Error('it is not a regular file');
    // The file may grow meanwhile: read at most one byte more than allowed.
    const content = await buffer(file.createReadStream({ end: MAX_SECRET_BYTES, autoClose: false }));
    if (content.length > MAX_SECRET_BYTES) throw new Error(`it has more than ${formatSize(MAX_SECRET_BYTES)}`);
    return content;
  } finally {
    await file.close();
  }
}

/**
 * Reads all secrets of a service, byte for byte.
 *
 * @throws MonocoreError `StartFailed` naming the service, the secret and its path, never its content
 */
export async function readSecrets({ name: service, secrets }: Service): Promise<SecretContent[]> {
  const contents: SecretContent[] = [];
  let totalBytes = 0;
  for (const secret of secrets) {
    const content = await readSecret(secret).catch((cause: unknown) => {
      const reason = errorCode(cause) === 'ENOENT' ? 'it does not exist' : errorText(cause);
      const message = `the secret ${secret.name} of ${service} cannot be read from ${secret.path}: ${reason}`;
      throw new MonocoreError('StartFailed', message, { cause });
    });
    totalBytes += content.length;
    contents.push({ name: secret.name, content });
  }
  if (totalBytes > MAX_SECRETS_BYTES) {
    const sizes = `${formatSize(totalBytes)}; a guest accepts at most ${formatSize(MAX_SECRETS_BYTES)}`;
    throw new MonocoreError('StartFailed', `the secrets of ${service} have ${sizes}`);
  }
  return contents;
}
