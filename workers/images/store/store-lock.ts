/**
 * Lock of an image store: one job at a time changes it, in any process, so that a removal never deletes what a pull has
 * just fetched. Reading needs no lock, because every file is written aside and renamed.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { errorCode } from '../../../src/lib/errors.ts';

/**
 * Takes the lock, a listening unix socket in the abstract namespace (unix(7)), which the kernel frees however its process
 * ends. Waiters stay connected to it and so learn of its end without polling.
 *
 * @param dir an existing folder
 * @param onWait called once if the lock is taken
 * @returns the function that frees the lock
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
  // A signal that has already fired emits no event.
  signal.throwIfAborted();
  // Refused when the lock was freed meanwhile.
  const socket = connect({ path, signal })
    .on('error', () => {})
    .resume();
  await new Promise((resolve) => socket.once('close', resolve));
}
