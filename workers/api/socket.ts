/** The daemon's Unix socket, to which only its owner can connect. */
import { once } from 'node:events';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { errorText, MonocoreError } from '../../src/lib/errors.ts';

/** Folder in which the socket is first bound. The path in it is no longer than the final one, which fits `sun_path`. */
const BIND_DIR_NAME = '.sock';

/**
 * Makes `server` listen on `path` with mode 0600, replacing whatever exists there.
 *
 * bind(2) applies the umask, which a worker thread cannot change. So the socket is bound inside a folder that only the
 * owner can enter, and renamed once its mode is right: a bound socket may be renamed, see unix(7).
 *
 * @throws MonocoreError `HomeUnusable`
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const bindDir = join(dirname(path), BIND_DIR_NAME);
  const bindPath = join(bindDir, 's');
  try {
    await rm(bindDir, { recursive: true, force: true }); // of a daemon that was killed here
    await mkdir(bindDir, { mode: 0o700 });
    await once(server.listen(bindPath), 'listening');
    await chmod(bindPath, 0o600);
    await rename(bindPath, path);
    await rm(bindDir, { recursive: true });
  } catch (error) {
    server.close();
    const message = `the daemon cannot listen on ${path}: ${errorText(error)}`;
    throw new MonocoreError('HomeUnusable', message, { cause: error });
  }
}
