/** Which limits of services this host can enforce. */
import { userInfo } from 'node:os';
import { errorText } from '../lib/errors.ts';
import { findSetpriv } from '../vm/host/host-tools.ts';
import { CONTROLLERS, findHostCgroups, type HostCgroups } from '../vm/host/limits/host-cgroups.ts';
import type { Check } from './report.ts';

type Finding = Omit<Check, 'name'>;

const NO_CGROUP_ADVICE =
  'memory of VMs, cpus and cpu_shares are not enforced without; run the daemon as a systemd service with Delegate=yes\n' +
  '(and DelegateSubgroup=monocore-daemon), or as root where /sys/fs/cgroup can be written';

/** @param cgroups as a daemon that is started from here would find them */
export function checkCgroups(cgroups: HostCgroups = findHostCgroups()): Finding {
  const reasons = new Set<string>();
  const usable: string[] = [];
  for (const controller of CONTROLLERS) {
    const place = cgroups[controller];
    if (place.type === 'unusable') reasons.add(place.reason);
    else usable.push(`${controller} in ${place.dir} (v${place.version})`);
  }
  if (reasons.size === 0) return { state: 'ok', finding: usable.join(', '), advice: null };
  return { state: 'warning', finding: [...reasons].join('; '), advice: NO_CGROUP_ADVICE };
}

/** Whether services may run as other users. @param uid of the daemon-to-be */
export function checkUsers(uid = process.getuid?.()): Finding {
  if (uid !== 0) {
    const finding = `services run as ${userInfo().username} only`;
    return { state: 'warning', finding, advice: 'for services with a user start the daemon as root' };
  }
  try {
    return { state: 'ok', finding: `services may run as any user, by ${findSetpriv()}`, advice: null };
  } catch (error) {
    const [finding = '', ...advice] = errorText(error).split('; ');
    return { state: 'warning', finding, advice: advice.join('; ') };
  }
}
