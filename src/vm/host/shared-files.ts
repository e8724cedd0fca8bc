/** Files of the host that a VM gets: its root directory and its volumes. Checked before a launch. */
import type { BigIntStats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, normalize } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { findPlaceFault, type Service, type Volume } from '../../protocol/service.ts';

/** Name of the root directory in the share; volumes have their number. */
export const ROOT_NAME = 'root';

/** A shared directory or file of the host. */
export interface SharedFile {
  /** Its name in the share. */
  readonly name: string;
  /** Absolute path without symbolic links. */
  readonly path: string;
  readonly kind: 'directory' | 'file';
  readonly readOnly: boolean;
  /** Device and inode, `<st_dev>:<st_ino>`, which are compared when the file is shared. */
  readonly identity: string;
}

/** A volume in the guest. */
interface GuestVolume {
  /** Name in the share. */
  readonly name: string;
  /** Path in the guest. */
  readonly guest: string;
  readonly readOnly: boolean;
}

/** Reason why a volume cannot have that place in the guest; null when it can. The config was checked already. */
function findFaultOfPlace(guest: string): string | null {
  if (!isAbsolute(guest) || normalize(guest) !== guest)
    return `its place in the guest, ${guest}, is not an absolute path without "." and ".."`;
  return findPlaceFault(guest);
}

function refuse(service: Service, what: string, path: string, reason: string, cause?: unknown): MonocoreError {
  return new MonocoreError('StartFailed', `the ${what} ${path} of ${service.name} cannot be shared: ${reason}`, {
    cause,
  });
}

function kindOf(stats: BigIntStats): SharedFile['kind'] | null {
  if (stats.isDirectory()) return 'directory';
  return stats.isFile() ? 'file' : null;
}

/** @throws MonocoreError `StartFailed` */
async function look(
  service: Service,
  what: 'rootfs' | 'volume',
  path: string,
): Promise<Pick<SharedFile, 'path' | 'kind' | 'identity'>> {
  if (!isAbsolute(path)) throw refuse(service, what, path, 'its path is not absolute');
  try {
    const real = await realpath(path);
    const stats = await lstat(real, { bigint: true });
    const kind = kindOf(stats);
    if (kind === 'directory' || (kind === 'file' && what === 'volume')) {
      return { path: real, kind, identity: `${stats.dev}:${stats.ino}` };
    }
  } catch (cause) {
    throw refuse(service, what, path, errorCode(cause) === 'ENOENT' ? 'it does not exist' : errorText(cause), cause);
  }
  throw refuse(
    service,
    what,
    path,
    what === 'rootfs' ? 'it is not a directory' : 'it is neither a directory nor a file',
  );
}

/** Volumes in the order in which the guest binds them: those below others after them. Numbered in the config's order. */
export function guestVolumes({ volumes }: Pick<Service, 'volumes'>): GuestVolume[] {
  return volumes
    .map(({ guest, read_only }, index) => ({ name: String(index), guest, readOnly: read_only }))
    .sort((a, b) => (a.guest < b.guest ? -1 : 1));
}

/** True for a service with files of the host. */
function sharesFiles({ rootfs, volumes }: Pick<Service, 'rootfs' | 'volumes'>): boolean {
  return rootfs !== null || volumes.length > 0;
}

/**
 * Checks all files that a service gets, without opening any. The root directory is read-only, because the guest has a
 * layer of its own above it. Main thread.
 *
 * @param daemonUid only root may share files, because the guest sees their owners
 * @throws MonocoreError `StartFailed` naming the service and the path
 */
export async function findSharedFiles(service: Service, daemonUid = process.getuid?.()): Promise<SharedFile[]> {
  if (!sharesFiles(service)) return [];
  if (daemonUid !== 0) {
    const what = service.rootfs === null ? 'volumes' : 'rootfs';
    const message = `${service.name} has ${what}, which only a daemon of root can share with a guest; start it as root`;
    throw new MonocoreError('StartFailed', message);
  }
  const files: SharedFile[] = [];
  if (service.rootfs !== null) {
    files.push({ name: ROOT_NAME, readOnly: true, ...(await look(service, 'rootfs', service.rootfs)) });
  }
  for (const [index, { host, guest, read_only }] of service.volumes.entries()) {
    const fault = findFaultOfPlace(guest);
    if (fault !== null) throw refuse(service, 'volume', host, fault);
    files.push({ name: String(index), readOnly: read_only, ...(await look(service, 'volume', host)) });
  }
  return files;
}

/** Notes on volumes that lead elsewhere by symbolic links, for people; none for a path that is gone. */
export async function describeLinks(volumes: readonly Volume[]): Promise<string[]> {
  const notes: string[] = [];
  for (const { host } of volumes) {
    const real = await realpath(host).catch(() => host);
    if (real !== normalize(host).replace(/(.)\/$/, '$1'))
      notes.push(`the volume ${host} is ${real}, by a symbolic link`);
  }
  return notes;
}
