/** The runtime folder of a VM: made before a launch, removed when its process has ended. Main thread. */
import { mkdir, rm } from 'node:fs/promises';
import { MonocoreError } from '../errors.ts';
import type { StreamName } from '../protocol/logs.ts';
import { MAX_SOCKET_PATH_BYTES, type VmPaths } from '../state/paths.ts';
import { closeAll, makeFifos, openReadEnd } from './fifos.ts';

/**
 * Makes the folder (0700) with its FIFOs (0600); what an earlier VM of that name left is removed.
 *
 * @throws MonocoreError `HomeUnusable` for a path that is too long for its sockets, `StartFailed` when it cannot be made
 */
export async function makeRuntimeFolder(paths: VmPaths, fifoPaths: readonly string[]): Promise<void> {
  const longest = Math.max(...[paths.control, paths.rootShare].map((path) => Buffer.byteLength(path)));
  if (longest > MAX_SOCKET_PATH_BYTES) {
    throw new MonocoreError(
      'HomeUnusable',
      `${paths.control} is too long for a unix socket (${longest} of ${MAX_SOCKET_PATH_BYTES} bytes); ` +
        'choose a shorter home with --home or MONOCORE_HOME, or a shorter service name',
    );
  }
  try {
    await rm(paths.dir, { recursive: true, force: true });
    await mkdir(paths.dir, { mode: 0o700 });
  } catch (cause) {
    throw new MonocoreError('StartFailed', `the runtime folder ${paths.dir} cannot be made: ${cause}`, { cause });
  }
  await makeFifos(fifoPaths);
}

/** Opens the read ends of all streams, or none: see {@link openReadEnd}. */
export function openReadEnds(paths: VmPaths, streams: readonly StreamName[]): { stream: StreamName; fd: number }[] {
  const opened: { stream: StreamName; fd: number }[] = [];
  try {
    for (const stream of streams) opened.push({ stream, fd: openReadEnd(paths.fifo(stream)) });
  } catch (cause) {
    closeAll(opened.map(({ fd }) => fd));
    throw new MonocoreError('StartFailed', `a stream in ${paths.dir} cannot be opened: ${cause}`, { cause });
  }
  return opened;
}
