/** The two programs called virtiofsd: QEMU's own up to QEMU 7.2, in C, and its successor in Rust. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText, MonocoreError } from '../../errors.ts';

const run = promisify(execFile);

export type VirtiofsdKind = 'c' | 'rust';

/** By path. */
const kinds = new Map<string, VirtiofsdKind>();

/** `virtiofsd version 7.2.22 (Debian …)` is the C one, `virtiofsd 1.10.0` the one in Rust. */
export function parseVirtiofsdKind(version: string): VirtiofsdKind {
  return /^virtiofsd version /m.test(version) ? 'c' : 'rust';
}

/** Which of the two it is; asked once. @throws MonocoreError `StartFailed` when it does not run */
export async function identifyVirtiofsd(program: string): Promise<VirtiofsdKind> {
  const known = kinds.get(program);
  if (known) return known;
  try {
    const kind = parseVirtiofsdKind((await run(program, ['--version'])).stdout);
    kinds.set(program, kind);
    return kind;
  } catch (cause) {
    throw new MonocoreError('StartFailed', `${program} does not run: ${errorText(cause)}`, { cause });
  }
}

/**
 * Arguments to share `directory`, whose path has neither comma, colon nor backslash.
 *
 * - The sandbox is namespaces of its own, where the shared directory is the root and nothing else is mounted.
 * - Each mount in it is one in the guest, too: inode numbers of two file systems may be the same.
 * - Without CAP_MKNOD a guest makes no device node that a user of the host could open.
 * - The guest keeps what it reads in its page cache, as shared mappings need, but takes names and attributes for good
 *   only as long as the program says: with the C one for no time at all; with that in Rust, which has no option for it,
 *   for a second.
 */
export function renderVirtiofsdArgs(kind: VirtiofsdKind, directory: string, socketPath: string): string[] {
  const socket = `--socket-path=${socketPath}`;
  if (kind === 'rust') {
    const options = [`--shared-dir=${directory}`, '--cache=auto', '--sandbox=namespace', '--modcaps=-mknod'];
    return [socket, ...options, '--announce-submounts'];
  }
  const options = [`source=${directory}`, 'cache=auto', 'timeout=0', 'sandbox=namespace', 'modcaps=-mknod'];
  return [socket, ...[...options, 'announce_submounts'].flatMap((option) => ['-o', option])];
}
