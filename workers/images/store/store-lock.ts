/**
 * The lock of an image store: one job at a time changes it, in whatever process, so that what a removal takes for
 * unused is not what a pull has just fetched. Reading needs no lock, because every file is written aside and renamed.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { errorCode } from '../../../src/lib/errors.ts';

/**
 * Takes the lock, a listening unix socket in the abstract namespace (unix(7)): the kernel frees it however its process
 * ends. Who waits stays connected to it, and so learns of its end without asking again and again.
 *
 * @param dir an existing folder
 * @param onWait called once if another one has the lock
 * @returns frees the lock
 * @throws the signal's reason
 */
export async function lockStore(dir: string, signal: AbortSignal, onWait: () => void): Promise<() => void> {
  const digest = createHash('sha256').update(realpathSync(dir)).digest('hex');
  const path = `\0monocore-images-${process.getuid?.() ?? 0}-${digest}`;
  for (let hasWaited = false; ; hasWaited = true) {
    signal.throwIfAborted();
    const release = await tryLock(path);
    if (release) return release;
    if (!hasWaited) onWait();
    await waitForEnd(path, signal);
  }
}

async function tryLock(path: string): Promise<(() => void) | null> {
  const waiting = new Set<Socket>();
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on('error', () => {}).on('close', () => waiting.delete(socket));
  });
  try {
    server.listen({ path });
    await once(server, 'listening');
  } catch (error) {
    if (errorCode(error) === 'EADDRINUSE') return null;
    throw error;
  }
  return () => {
    server.close();
    for (const socket of waiting) socket.destroy();
  };
}

async function waitForEnd(path: string, signal: AbortSignal): Promise<void> {
  // A signal that has fired already tells nobody.
  signal.throwIfAborted();
  const socket = connect({ path });
  // Refused when the lock has been freed meanwhile.
  socket.on('error', () => {}).resume();
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort);
  await new Promise((resolve) => socket.once('close', resolve));
  signal.removeEventListener('abort', onAbort);
}
