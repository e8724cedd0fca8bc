/** Whether services of this host can have files of the host: rootfs and volumes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText } from '../lib/errors.ts';
import { findVirtiofsd } from '../vm/host/host-tools.ts';
import { identifyVirtiofsd } from '../vm/host/virtiofsd.ts';
import type { Check } from './report.ts';

const run = promisify(execFile);

type Finding = Omit<Check, 'name'>;

function warn(finding: string, advice: string): Finding {
  return { state: 'warning', finding, advice };
}

/**
 * @param uid of the daemon-to-be
 * @param unshare program and arguments that make a mount namespace, which is gone at once
 * @throws MonocoreError `ToolMissing`, `StartFailed`
 */
export async function checkFileSharing(
  uid = process.getuid?.(),
  unshare: readonly [string, ...string[]] = ['unshare', '-m', 'mount', '--version'],
): Promise<Finding> {
  const program = findVirtiofsd();
  const kind = await identifyVirtiofsd(program);
  if (uid !== 0) {
    return warn(
      `${program}, but only root can share files`,
      'for services with rootfs or volumes start the daemon as root',
    );
  }
  const [command, ...args] = unshare;
  try {
    await run(command, args);
  } catch (error) {
    const [reason = ''] = ((error as { stderr?: string }).stderr?.trim() || errorText(error)).split('\n');
    const advice =
      'for rootfs and volumes the daemon needs unshare and mount (of util-linux) and may make mount namespaces; in a\n' +
      'container give it CAP_SYS_ADMIN';
    return warn(`no mount namespace can be made: ${reason}`, advice);
  }
  const delay = kind === 'c' ? 'at once' : 'within a second';
  return {
    state: 'ok',
    finding: `${program}, for rootfs and volumes; guests see changes of the host ${delay}`,
    advice: null,
  };
}
