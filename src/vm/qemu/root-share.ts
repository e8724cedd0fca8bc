/** Shares a host directory with a guest through virtiofsd, which ends by itself when QEMU does. */
import { existsSync } from 'node:fs';
import { MonocoreError } from '../../errors.ts';
import { spawnDetached } from '../child.ts';
import { findVirtiofsd } from './host-tools.ts';

const LISTEN_TIMEOUT_MS = 5000;
const RETRY_MS = 10;

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
  const { process: child } = await spawnDetached(
    findVirtiofsd(),
    [`--socket-path=${socketPath}`, '-o', `source=${directory}`, '-o', 'cache=auto', '-o', 'sandbox=chroot'],
    ['ignore', consoleFd, consoleFd],
  );
  child.unref();
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
