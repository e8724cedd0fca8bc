/** The two programs called virtiofsd: QEMU's own up to QEMU 7.2, in C, and its successor in Rust. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText, MonocoreError } from '../../lib/errors.ts';

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

/** What is shared, and how. */
export interface Sharing {
  /** A path without commas, colons and backslashes. */
  readonly directory: string;
  readonly socketPath: string;
  /**
   * Whether the host changes files that the guest has seen: then the guest asks for names and attributes each time they
   * are used. Under TCG each question takes about 1 ms; to list 1000 files took 1 s, and 0.13 s without.
   */
  readonly changes: boolean;
}

/**
 * Arguments to share a directory.
 *
 * - The sandbox is namespaces of its own, where the shared directory is the root and nothing else is mounted.
 * - Each mount in it is one in the guest, too: inode numbers of two file systems may be the same.
 * - Without CAP_MKNOD a guest makes no device node that a user of the host could open.
 * - The guest keeps what it reads in its page cache, as shared mappings need, and looks at the file's time and size when
 *   it reads again. How long it takes names and attributes for good the program says, a second by default. The one in
 *   Rust has no option for it; of what is answered in vain then (readdirplus) the other is told not to.
 */
export function renderVirtiofsdArgs(kind: VirtiofsdKind, { directory, socketPath, changes }: Sharing): string[] {
  const socket = `--socket-path=${socketPath}`;
  if (kind === 'rust') {
    const options = [`--shared-dir=${directory}`, '--cache=auto', '--sandbox=namespace', '--modcaps=-mknod'];
    return [socket, ...options, '--announce-submounts'];
  }
  const options = [`source=${directory}`, 'cache=auto', 'sandbox=namespace', 'modcaps=-mknod', 'announce_submounts'];
  if (changes) options.push('timeout=0', 'no_readdirplus');
  return [socket, ...options.flatMap((option) => ['-o', option])];
}
