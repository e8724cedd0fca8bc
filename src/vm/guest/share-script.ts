/** Gathers all that a VM is given of the host's files under one directory, which nobody but its virtiofsd sees. */
import type { Command } from '../host/limits/launcher.ts';
import type { SharedFile } from '../host/shared-files.ts';

/**
 * Where the directory is in the end. Its path is part of an option, where a comma means something, so it is not one
 * below the home; this one exists on every Linux, and nothing behind this needs what was there.
 */
export const SHARE_ROOT = '/sys';

/**
 * `unshare -m sh -c SCRIPT sh <folder> (<name> <kind> <ro|rw> <identity> <path>)… -- <program> <arguments…>`
 *
 * The mounts are made in a mount namespace of this process alone, from which nothing gets out to the host's
 * (mount_namespaces(7); unshare(1) makes it private), and go with it. A path is followed once more here, so what was
 * bound is compared with what was looked at. Read-only is the mount, not the share: whoever owns the guest cannot
 * change it. So is the directory itself, or the guest could fill the host's memory with names.
 *
 * File systems below a shared directory are left out: making them read-only, too, one by one, is more than mount(8)
 * promises everywhere. Devices cannot be opened and set-user-id means nothing there, for virtiofsd, which needs neither.
 */
const SCRIPT = `
set -e
share=$1
shift
mount -t tmpfs -o mode=0755,size=1m,nosuid,nodev,noexec share "$share"
while [ "$1" != -- ]; do
  place=$share/$1
  if [ "$2" = directory ]; then mkdir "$place"; else : >"$place"; fi
  mount -o bind "$5" "$place"
  mount -o "remount,bind,$3,nosuid,nodev" "$5" "$place"
  if [ "$(stat -c %d:%i "$place")" != "$4" ]; then
    echo "$5 was replaced while it was being shared" >&2
    exit 1
  fi
  shift 5
done
shift
mount -t tmpfs -o remount,ro share "$share"
mount -o move "$share" ${SHARE_ROOT}
exec "$@"
`;

/**
 * The command that shares `files` as {@link SHARE_ROOT} and becomes `command`, in the same process.
 *
 * @param folder an empty folder, on which the directory is made
 */
export function wrapInShare(command: Command, folder: string, files: readonly SharedFile[]): Command {
  const words = files.flatMap(({ name, kind, readOnly, identity, path }) => [
    ...[name, kind, readOnly ? 'ro' : 'rw', identity, path],
  ]);
  const args = ['-m', '/bin/sh', '-c', SCRIPT, 'sh', folder, ...words, '--', command.program, ...command.args];
  return { program: 'unshare', args };
}
