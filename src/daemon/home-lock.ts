/** Lock of a home: one daemon at a time. The kernel frees it however the daemon ends. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { errorCode, MonocoreError } from '../lib/errors.ts';

/**
 * Takes the lock: a listening unix socket in the abstract namespace (unix(7)), which leaves no file behind. Abstract names
 * are per network namespace, and every user may take any of them, so the user id is part of the name.
 *
 * @param home an existing folder
 * @returns frees the lock
 * @throws MonocoreError `DaemonRunning` when another process holds it
 */
export async function lockHome(home: string): Promise<() => void> {
  const digest = createHash('sha256').update(realpathSync(home)).digest('hex');
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ path: `\0monocore-${process.getuid?.() ?? 0}-${digest}` });
    await once(server, 'listening');
  } catch (cause) {
    if (errorCode(cause) !== 'EADDRINUSE') throw cause;
    throw new MonocoreError('DaemonRunning', `a monocore daemon runs already for the home ${home}`, { cause });
  }
  server.unref();
  return () => server.close();
}
