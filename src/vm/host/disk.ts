/** Disk of a service: a sparse image with an ext4 file system, created before the first launch and kept afterwards. */
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorTextWithPath, MonocoreError } from '../../lib/errors.ts';
import { syncPath } from '../../lib/files.ts';
import { formatSize, MIB } from '../../lib/units.ts';
import { findMkfs, run } from './host-tools.ts';

/**
 * Options of mkfs. No blocks are reserved for an administrator, because the service is the only user. The journal is
 * not zeroed: the image already reads as zeros, and writing them would allocate up to 1 GiB of the host's disk.
 */
const MKFS_OPTIONS = ['-q', '-F', '-m', '0', '-E', 'lazy_journal_init=1'];

/**
 * Creates the disk of a service unless it exists. A disk of 1 GiB takes 20 ms and initially 0.7 MB on the host. Main
 * thread; does not block.
 *
 * @param service its name, for messages
 * @throws MonocoreError `ToolMissing`; `StartFailed` if it cannot be created, or exists with a different size
 */
export async function prepareDisk(path: string, sizeMib: number, service: string): Promise<void> {
  const sizeBytes = sizeMib * MIB;
  const known = await stat(path).catch(() => null);
  if (known?.size === sizeBytes) return;
  if (known) {
    throw new MonocoreError(
      'StartFailed',
      `the disk of ${service} has ${formatSize(known.size)}, but its config asks for ${formatSize(sizeBytes)}; keep the ` +
        `size, or delete the disk with: monocore remove ${service}`,
    );
  }
  const mkfs = findMkfs();
  // An unfinished image has this name and is created anew.
  const unfinished = `${path}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rm(unfinished, { force: true });
    const file = await open(unfinished, 'wx', 0o600);
    await file.truncate(sizeBytes).finally(() => file.close());
    await run(mkfs, [...MKFS_OPTIONS, unfinished]);
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw new MonocoreError('StartFailed', `the disk of ${service} cannot be created: ${errorTextWithPath(cause)}`, {
      cause,
    });
  }
}

/**
 * Renames the disk of a service to that of another one, which has none. Once this resolves, a crash of the host does not
 * undo it: the other service would be given an empty disk.
 *
 * @throws the system error; MonocoreError `Internal` if there is a disk with the new name, which is not touched
 */
export async function moveDisk(from: string, to: string): Promise<void> {
  // The home has one daemon, which moves and makes the disks of a service one at a time.
  if (existsSync(to)) throw new MonocoreError('Internal', `${to} exists`);
  await rename(from, to);
  await syncPath(dirname(to));
}
