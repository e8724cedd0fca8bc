/**
 * Shares host files with a guest: one virtiofsd per VM serves its root directory and all its volumes, and ends when
 * QEMU does. Main thread.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import { isListening, type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import { pollUntil, untilDone } from '../../lib/promises.ts';
import type { VmPaths } from '../../state/paths.ts';
import { adoptedProcess, killMachine, killRecorded, type Spawner } from './host-process.ts';
import { findUnshare, findVirtiofsd, run } from './host-tools.ts';
import type { Command } from './limits/launcher.ts';
import type { AppliedLimits } from './limits/service-limits.ts';
import { readProcessRecord } from './process-record.ts';
import { ROOT_NAME, type SharedFile } from './shared-files.ts';

const LISTEN_TIMEOUT_MS = 5000;
const RETRY_MS = 10;
/** Time for a killed virtiofsd to end; while it waits for a disk of the host it cannot. */
const KILL_TIMEOUT_MS = 2000;
/**
 * Time to wait for the end of QEMU after virtiofsd has ended. Usually QEMU ended first; otherwise QEMU must be killed.
 */
const QEMU_END_TIMEOUT_MS = 2000;

/** There are two programs called virtiofsd: QEMU's own up to QEMU 7.2, in C, and its successor in Rust. */
type VirtiofsdKind = 'c' | 'rust';

/** Kinds by path of the program. */
const kinds = new Map<string, VirtiofsdKind>();

/** Recognises the kind: `virtiofsd version 7.2.22 (Debian …)` is the C program, `virtiofsd 1.10.0` the Rust one. */
export function parseVirtiofsdKind(version: string): VirtiofsdKind {
  return /^virtiofsd version /m.test(version) ? 'c' : 'rust';
}

/** Runs the program once to identify it. @throws MonocoreError `StartFailed` if it does not run */
export async function identifyVirtiofsd(program: string): Promise<VirtiofsdKind> {
  try {
    const kind = kinds.get(program) ?? parseVirtiofsdKind(await run(program, ['--version']));
    kinds.set(program, kind);
    return kind;
  } catch (cause) {
    throw new MonocoreError('StartFailed', `virtiofsd does not run: ${errorText(cause)}`, { cause });
  }
}

/**
 * Renders the arguments that share {@link SHARE_ROOT}.
 *
 * - The sandbox has namespaces of its own, where the shared directory is the root and nothing else is mounted.
 * - Each mount in the directory is a mount in the guest, too: inode numbers of two file systems may be the same.
 * - Without CAP_MKNOD a guest makes no device node that a user of the host could open.
 * - The guest keeps what it reads in its page cache, as shared mappings need, and checks time and size of the file when it
 *   reads again. The program tells the guest how long names and attributes stay valid, a second by default. The one in
 *   Rust has no option for it; the one in C is told not to send attributes (readdirplus) that would be void at once.
 *
 * @param changes true when the host changes files that the guest has seen: then the guest asks for names and attributes at
 * each use. Under TCG each question takes about 1 ms; to list 1000 files took 1 s, and 0.13 s without
 */
export function renderVirtiofsdArgs(kind: VirtiofsdKind, socketPath: string, changes: boolean): string[] {
  const socket = `--socket-path=${socketPath}`;
  if (kind === 'rust') {
    const options = [`--shared-dir=${SHARE_ROOT}`, '--cache=auto', '--sandbox=namespace', '--modcaps=-mknod'];
    return [socket, ...options, '--announce-submounts'];
  }
  const options = [`source=${SHARE_ROOT}`, 'cache=auto', 'sandbox=namespace', 'modcaps=-mknod', 'announce_submounts'];
  if (changes) options.push('timeout=0', 'no_readdirplus');
  return [socket, ...options.flatMap((option) => ['-o', option])];
}

/**
 * Mount point of the shared directory. The path is part of an option in which a comma has a special meaning, so it is
 * not in the home. This path exists on every Linux, and virtiofsd needs nothing that it hides.
 */
const SHARE_ROOT = '/sys';

/**
 * `unshare -m sh -c SCRIPT sh <folder> (<name> <kind> <ro|rw> <identity> <path>)… -- <program> <arguments…>`
 *
 * The mounts are in a mount namespace that only this process uses (mount_namespaces(7); unshare(1) makes it private),
 * and disappear with it. Each path is resolved again here, so the mounted file is compared with the file that was
 * checked. Read-only is a property of the mount, which the guest's root cannot change. The directory itself is
 * read-only as well, because otherwise the guest could fill the host's memory with names.
 *
 * File systems below a shared directory are not included: mount(8) cannot reliably make each of them read-only on every
 * host. Opening devices and set-user-id are disabled for virtiofsd, which needs neither.
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
 * Wraps `command` so that it sees `files` below {@link SHARE_ROOT}, in the same process.
 *
 * @param folder an empty folder
 */
function wrapInShare(command: Command, folder: string, files: readonly SharedFile[]): Command {
  const words = files.flatMap((file) => [file.name, file.kind, file.readOnly ? 'ro' : 'rw', file.identity, file.path]);
  const args = ['-m', '/bin/sh', '-c', SCRIPT, 'sh', folder, ...words, '--', command.program, ...command.args];
  return { program: findUnshare(), args };
}

/** Kills a VM when its files are gone, because they cannot be restored. */
async function endWithoutFiles(gone: Promise<unknown>, vm: ProcessIdentity): Promise<void> {
  await gone;
  await delay(QEMU_END_TIMEOUT_MS, null, { ref: false });
  await killMachine(vm);
}

/**
 * Starts to share `files` and waits until QEMU can connect. `stop` ends the sharing if no QEMU connected; `guard` kills
 * the VM when its files are gone.
 *
 * @param limits also apply to virtiofsd, except `open_files`: it holds one open file for each file that the guest knows
 * @param spawner starts virtiofsd, whose messages go to the console
 * @throws MonocoreError `ToolMissing`, `StartFailed`
 */
export async function shareFiles(
  files: readonly SharedFile[],
  paths: VmPaths,
  limits: AppliedLimits,
  spawner: Spawner,
): Promise<{ stop(): void; guard(vm: ProcessIdentity): void }> {
  const program = findVirtiofsd();
  // A root directory must not change while a guest uses it: for overlayfs the result is undefined.
  const changes = files.some(({ name }) => name !== ROOT_NAME);
  const args = renderVirtiofsdArgs(await identifyVirtiofsd(program), paths.share, changes);
  await mkdir(paths.shareFolder, { mode: 0o700 });
  const command = limits.assist(wrapInShare({ program, args }, paths.shareFolder, files));
  // The only variable of the daemon that it needs.
  const env = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin` };
  const console = { fifo: paths.fifo('console'), nonBlocking: true };
  const fds = ['null' as const, console, console];
  const child = await spawner.spawn({ ...command, fds, workdir: '/', env }, paths.shareRecord);
  const stop = (): void => {
    // It consists of two processes; the second is the first of a pid namespace.
    void untilDone(() => signalProcess(child.identity, 'SIGKILL', 'group'));
  };
  let hasEnded = false;
  const exited = child.exited().then(() => {
    hasEnded = true;
  });
  const listens = (): boolean => isListening(paths.share);
  const waited = await pollUntil(() => hasEnded || listens(), RETRY_MS, LISTEN_TIMEOUT_MS);
  if (!listens()) {
    stop();
    const list = files.map(({ path }) => path).join(', ');
    const reason = waited ? 'virtiofsd did not start' : `virtiofsd does not listen after ${LISTEN_TIMEOUT_MS / 1000} s`;
    throw new MonocoreError(
      'StartFailed',
      `${list} cannot be shared with the guest: ${reason}; its console may say why`,
    );
  }
  return { stop, guard: (vm) => void endWithoutFiles(exited, vm) };
}

/**
 * Does the same as the `guard` of {@link shareFiles} for a VM launched by an earlier daemon; does nothing if it has no
 * share.
 */
export function guardAdoptedShare(paths: VmPaths, vm: ProcessIdentity): void {
  if (!existsSync(paths.shareFolder)) return;
  // The first of its processes waits for the second, so they end together.
  const share = readProcessRecord(paths.shareRecord);
  void endWithoutFiles(share ? adoptedProcess(share).exited() : Promise.resolve(), vm);
}

/**
 * Kills a virtiofsd to which no QEMU connected, because the daemon or QEMU was killed in between, and waits for its
 * end: it holds a lock that the next one needs. Called after the VM has ended and before its runtime folder is removed.
 */
export async function endStrayShare(paths: VmPaths): Promise<void> {
  if (!existsSync(paths.shareFolder)) return;
  await killRecorded(paths.shareRecord, KILL_TIMEOUT_MS);
}
