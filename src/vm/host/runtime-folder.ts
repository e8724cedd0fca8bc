/** Runtime folder of a VM: created before a launch, removed after its process has ended. Main thread. */
import { mkdir, rm } from 'node:fs/promises';
import { errorText, errorTextWithPath, MonocoreError } from '../../lib/errors.ts';
import type { StreamName } from '../../protocol/log-files/names.ts';
import { MAX_SOCKET_PATH_BYTES, type VmPaths } from '../../state/paths.ts';
import type { PreparedInstance, ReadEnd } from '../backend.ts';
import { closeAll, type FifoMaker, openChildEnd, openReadEnd } from './fifos.ts';

/**
 * Creates the folder (0700) with its FIFOs (0600); a folder left by an earlier VM of that name is removed.
 *
 * @throws MonocoreError `HomeUnusable` if the path is too long for its sockets, `StartFailed` if it cannot be created
 */
export async function makeRuntimeFolder(paths: VmPaths, fifoPaths: readonly string[], fifos: FifoMaker): Promise<void> {
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
    throw new MonocoreError('StartFailed', `the runtime folder ${paths.dir} cannot be created: ${errorText(cause)}`, {
      cause,
    });
  }
  await fifos.make(fifoPaths);
}

/**
 * Opens both ends of every stream, or none: the read end, and the end of the VM process, which is closed after the
 * launch, whether or not it succeeded. A stream ends when nobody holds the end of the VM process any more.
 *
 * @throws MonocoreError `StartFailed` if one cannot be opened
 */
export function prepareInstance(
  paths: VmPaths,
  streams: readonly StreamName[],
  notes: readonly string[],
  launch: PreparedInstance['launch'],
): PreparedInstance {
  const ends = openStreams(paths, streams, [openReadEnd, openChildEnd]);
  const childEnds = ends.splice(streams.length).map(({ fd }) => fd);
  const discard = () => closeAll(childEnds);
  return { streams: ends, notes, discard, launch: (onEvent) => launch(onEvent).finally(discard) };
}

/** Opens the read ends for a running VM, which holds the other ends. Throws like {@link prepareInstance}. */
export function openReadEnds(paths: VmPaths, streams: readonly StreamName[]): ReadEnd[] {
  return openStreams(paths, streams, [openReadEnd]);
}

/** Opens all streams with each of `opens` in turn; returns the descriptors of each. */
function openStreams(
  paths: VmPaths,
  streams: readonly StreamName[],
  opens: readonly ((path: string) => number)[],
): ReadEnd[] {
  const ends: ReadEnd[] = [];
  try {
    for (const open of opens) for (const stream of streams) ends.push({ stream, fd: open(paths.fifo(stream)) });
    return ends;
  } catch (cause) {
    closeAll(ends.map(({ fd }) => fd));
    throw new MonocoreError('StartFailed', `a stream cannot be opened: ${errorTextWithPath(cause)}`, { cause });
  }
}
