/** The runtime folder of a VM: made before a launch, removed when its process has ended. Main thread. */
import { mkdir, rm } from 'node:fs/promises';
import { MonocoreError } from '../errors.ts';
import type { StreamName } from '../protocol/logs.ts';
import { MAX_SOCKET_PATH_BYTES, type VmPaths } from '../state/paths.ts';
import { makeFifos, openAll, openReadEnd } from './fifos.ts';

/**
 * Makes the folder (0700) with its FIFOs (0600); what an earlier VM of that name left is removed.
 *
 * @throws MonocoreError `HomeUnusable` for a path that is too long for its sockets, `StartFailed` when it cannot be made
 */
export async function makeRuntimeFolder(paths: VmPaths, fifoPaths: readonly string[]): Promise<void> {
  const longest = Math.max(...[paths.control, paths.share].map((path) => Buffer.byteLength(path)));
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

/** A stream's read end, non-blocking. */
export interface ReadEnd {
  readonly stream: StreamName;
  readonly fd: number;
}

/**
 * Opens the read ends of `streams`, then what `childEnds` opens; all of it or nothing.
 *
 * @throws MonocoreError `StartFailed` when one cannot be opened
 */
export function openEnds(
  paths: VmPaths,
  streams: readonly StreamName[],
  childEnds: readonly (() => number)[],
): { streams: ReadEnd[]; childEnds: number[] } {
  try {
    const fds = openAll([...streams.map((stream) => () => openReadEnd(paths.fifo(stream))), ...childEnds]);
    return {
      streams: streams.map((stream, index) => ({ stream, fd: fds[index]! })),
      childEnds: fds.slice(streams.length),
    };
  } catch (cause) {
    throw new MonocoreError('StartFailed', `a stream in ${paths.dir} cannot be opened: ${cause}`, { cause });
  }
}

/** Opens the read ends of a VM that has the other ends. As {@link openEnds}. */
export function openReadEnds(paths: VmPaths, streams: readonly StreamName[]): ReadEnd[] {
  return openEnds(paths, streams, []).streams;
}
