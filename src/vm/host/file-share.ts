/**
 * Shares files of the host with a guest: one virtiofsd per VM, for its root directory and all its volumes, which ends by
 * itself when QEMU does. Main thread.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import { findByArgument, isRunning, type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';
import type { VmPaths } from '../../state/paths.ts';
import { SHARE_ROOT, wrapInShare } from '../guest/share-script.ts';
import type { SpawnedProcess, Spawner } from './host-process.ts';
import { adoptedProcess, type HostProcess } from './host-process.ts';
import { findVirtiofsd } from './host-tools.ts';
import type { AppliedLimits } from './limits/service-limits.ts';
import { ROOT_NAME, type SharedFile } from './shared-files.ts';
import { identifyVirtiofsd, renderVirtiofsdArgs } from './virtiofsd.ts';

const LISTEN_TIMEOUT_MS = 5000;
const RETRY_MS = 10;
/** One that waits for a disk of the host cannot be killed before it has that. */
const KILL_TIMEOUT_MS = 2000;
/** From its end to that of QEMU, where QEMU is what ended: the other way round somebody has to end QEMU. */
const QEMU_END_TIMEOUT_MS = 2000;

/** The shared files of one VM. */
export interface FileShare {
  /** Ends the sharing when no QEMU ever connected. */
  stop(): void;
  /** Ends the VM when its files are gone, as they never come back. */
  guard(vm: ProcessIdentity): void;
}

/** The option by which a virtiofsd is found, and nothing else: QEMU names the socket, too. */
function socketOption(paths: VmPaths): string {
  return `--socket-path=${paths.share}`;
}

function endWithoutFiles(vm: ProcessIdentity): void {
  const timer = setTimeout(() => {
    if (isRunning(vm)) signalProcess(vm, 'SIGKILL', 'process');
  }, QEMU_END_TIMEOUT_MS);
  timer.unref();
}

function guard(share: HostProcess, vm: ProcessIdentity): void {
  share.onExit(() => endWithoutFiles(vm));
}

async function awaitSocket(virtiofsd: SpawnedProcess, socketPath: string): Promise<void> {
  const listens = await pollUntil(() => virtiofsd.ended || existsSync(socketPath), RETRY_MS, LISTEN_TIMEOUT_MS);
  if (!listens) throw new Error(`virtiofsd does not listen after ${LISTEN_TIMEOUT_MS / 1000} s`);
  if (!existsSync(socketPath)) throw new Error('virtiofsd did not start');
}

/**
 * Starts to share `files` and waits until QEMU can connect.
 *
 * @param limits those of the service hold for virtiofsd, too, but for `open_files`: it has one for each file that the
 * guest knows
 * @param spawner starts virtiofsd; what that says goes to the console
 * @throws MonocoreError `ToolMissing`, `StartFailed`
 */
export async function shareFiles(
  files: readonly SharedFile[],
  paths: VmPaths,
  limits: AppliedLimits,
  spawner: Spawner,
): Promise<FileShare> {
  const program = findVirtiofsd();
  // A root directory below a running guest must not change: overlayfs says that it does not define what comes of it.
  const changes = files.some(({ name }) => name !== ROOT_NAME);
  const sharing = { directory: SHARE_ROOT, socketPath: paths.share, changes };
  const args = renderVirtiofsdArgs(await identifyVirtiofsd(program), sharing);
  await mkdir(paths.shareFolder, { mode: 0o700 });
  const command = limits.join(wrapInShare({ program, args }, paths.shareFolder, files));
  // Of the daemon's variables it needs none but this one.
  const env = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin` };
  const console = { fifo: paths.fifo('console'), nonBlocking: true };
  const fds = ['null' as const, console, console];
  const child = await spawner.spawn({ ...command, fds, workdir: '/', env }, socketOption(paths));
  const stop = (): void => {
    // It is two processes, of which the second is the first of a process namespace.
    signalProcess(child.identity, 'SIGKILL', 'group');
  };
  try {
    await awaitSocket(child, paths.share);
  } catch (cause) {
    stop();
    const list = files.map(({ path }) => path).join(', ');
    const message = `${list} cannot be shared with the guest: ${errorText(cause)}; its console may say why`;
    throw new MonocoreError('StartFailed', message, { cause });
  }
  return { stop, guard: (vm) => guard(child, vm) };
}

/** As {@link FileShare.guard}, for a VM that an earlier daemon launched; does nothing for one without a share. */
export function guardAdoptedShare(paths: VmPaths, vm: ProcessIdentity): void {
  if (!existsSync(paths.shareFolder)) return;
  // The first of its processes waits for the other, so they end together.
  const [share] = findByArgument(socketOption(paths));
  if (share) guard(adoptedProcess(share), vm);
  else endWithoutFiles(vm);
}

/**
 * Ends a virtiofsd to which no QEMU connected, because the daemon was killed in between, or QEMU was, and waits for its
 * end, as the next one would not get the lock that it has. Called when the VM has ended, before its runtime folder goes.
 */
export async function endStrayShare(paths: VmPaths): Promise<void> {
  if (!existsSync(paths.shareFolder)) return;
  const strays = findByArgument(socketOption(paths));
  for (const share of strays) signalProcess(share, 'SIGKILL', 'process');
  await pollUntil(() => !strays.some(isRunning), RETRY_MS, KILL_TIMEOUT_MS);
}
