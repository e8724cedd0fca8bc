/** Host files that are shared with a VM: its root directory and its volumes. Checked before a launch. */
import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, normalize } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { findPlaceFault, type Service, type Volume } from '../../protocol/service.ts';

/** Name of the root directory in the share; volumes are named by their number. */
export const ROOT_NAME = 'root';

/** Shared directory or file of the host. */
export interface SharedFile {
  /** Its name in the share. */
  readonly name: string;
  /** Absolute path without symbolic links. */
  readonly path: string;
  readonly kind: 'directory' | 'file';
  readonly readOnly: boolean;
  /** Device and inode, `<st_dev>:<st_ino>`, which are compared again when the file is shared. */
  readonly identity: string;
}

/**
 * Reason why a volume cannot be mounted at that path of the guest; null if it can. The config has already been
 * validated.
 */
function findFaultOfPlace(guest: string): string | null {
  if (!isAbsolute(guest) || normalize(guest) !== guest)
    return `its path in the guest, ${guest}, is not an absolute path without "." and ".."`;
  return findPlaceFault(guest);
}

/** Examines a path. @throws an error for people, or the system error */
async function look(what: 'rootfs' | 'volume', path: string): Promise<Pick<SharedFile, 'path' | 'kind' | 'identity'>> {
  if (!isAbsolute(path)) throw new Error('its path is not absolute');
  const real = await realpath(path);
  const stats = await lstat(real, { bigint: true });
  const identity = `${stats.dev}:${stats.ino}`;
  if (stats.isDirectory()) return { path: real, kind: 'directory', identity };
  if (what === 'rootfs') throw new Error('it is not a directory');
  if (stats.isFile()) return { path: real, kind: 'file', identity };
  throw new Error('it is neither a directory nor a file');
}

/**
 * Volumes in the order in which the guest mounts them: nested ones after those around them. Numbered in the order of
 * the config.
 */
export function guestVolumes({ volumes }: Pick<Service, 'volumes'>) {
  return volumes
    .map(({ guest, read_only }, index) => ({ name: String(index), guest, readOnly: read_only }))
    .sort((a, b) => (a.guest < b.guest ? -1 : 1));
}

/**
 * Checks all files that are shared with a service, without opening any. The root directory is read-only, because the
 * guest adds its own writable layer. Main thread.
 *
 * @param daemonUid only root can share files, because the guest sees their owners
 * @throws MonocoreError `StartFailed` naming the service and the path
 */
export async function findSharedFiles(service: Service, daemonUid = process.getuid?.()): Promise<SharedFile[]> {
  if (service.rootfs === null && service.volumes.length === 0) return [];
  if (daemonUid !== 0) {
    const what = service.rootfs === null ? 'volumes' : 'rootfs';
    const message = `${service.name} has ${what}, which only a daemon running as root can share with a guest; start the daemon as root`;
    throw new MonocoreError('StartFailed', message);
  }
  const check = async (what: 'rootfs' | 'volume', path: string, fault: string | null = null) => {
    try {
      if (fault !== null) throw new Error(fault);
      return await look(what, path);
    } catch (cause) {
      const reason = errorCode(cause) === 'ENOENT' ? 'it does not exist' : errorText(cause);
      const message = `the ${what} ${path} of ${service.name} cannot be shared: ${reason}`;
      throw new MonocoreError('StartFailed', message, { cause });
    }
  };
  const files: SharedFile[] = [];
  if (service.rootfs !== null) {
    files.push({ name: ROOT_NAME, readOnly: true, ...(await check('rootfs', service.rootfs)) });
  }
  for (const [index, { host, guest, read_only }] of service.volumes.entries()) {
    files.push({ name: String(index), readOnly: read_only, ...(await check('volume', host, findFaultOfPlace(guest))) });
  }
  return files;
}

/** Notes on volumes whose path contains symbolic links, for people; none for a path that is gone. */
export async function describeLinks(volumes: readonly Volume[]): Promise<string[]> {
  const notes: string[] = [];
  for (const { host } of volumes) {
    const real = await realpath(host).catch(() => host);
    if (real !== normalize(host).replace(/(.)\/$/, '$1'))
      notes.push(`the volume ${host} leads to ${real} through a symbolic link`);
  }
  return notes;
}
