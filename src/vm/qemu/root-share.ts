/** Shares a host directory with a guest through virtiofsd, which ends by itself when QEMU does. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { errorText, MonocoreError } from '../../errors.ts';
import { spawnDetached } from '../child.ts';
import { findVirtiofsd } from './host-tools.ts';

const LISTEN_TIMEOUT_MS = 5000;
const RETRY_MS = 10;

/**
 * Descriptor of the shared directory in virtiofsd, which is told that and not the path: a comma or a backslash in the
 * value of an option means something, and not the same to each of its implementations.
 */
const ROOT_FD = 3;

/**
 * Starts to share `directory` and waits until QEMU can connect.
 *
 * @param consoleFd takes what virtiofsd says
 * @returns ends the sharing when no QEMU ever connected
 * @throws MonocoreError `ToolMissing`, `StartFailed`
 */
export async function shareRoot(directory: string, socketPath: string, consoleFd: number): Promise<() => void> {
  if (process.getuid?.() !== 0) {
    throw new MonocoreError('StartFailed', 'rootfs needs root: virtiofsd changes its root to the shared directory');
  }
  const program = findVirtiofsd();
  // Without the dot it would be a symbolic link, which virtiofsd refuses.
  const options = [`source=/proc/self/fd/${ROOT_FD}/.`, 'cache=auto', 'sandbox=chroot'];
  const args = [`--socket-path=${socketPath}`, ...options.flatMap((option) => ['-o', option])];
  const rootFd = openDirectory(directory);
  const launched = spawnDetached(program, args, ['ignore', consoleFd, consoleFd, rootFd]);
  const { process: child } = await launched.finally(() => closeSync(rootFd));
  for (let waitedMs = 0; !existsSync(socketPath); waitedMs += RETRY_MS) {
    if (child.exitCode !== null || child.signalCode !== null || waitedMs > LISTEN_TIMEOUT_MS) {
      child.kill('SIGKILL');
      throw new MonocoreError(
        'StartFailed',
        `${directory} could not be shared with the guest: virtiofsd did not start`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return () => {
    child.kill('SIGTERM');
  };
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new MonocoreError('StartFailed', `the root directory cannot be shared: ${errorText(cause)}`, { cause });
  }
}
