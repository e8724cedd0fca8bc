/**
 * The job of a guest: words that tell its agent what to run, see `job` in `agent/protocol.ts`. They travel over the control
 * port, never in an argv or on the kernel's command line, because they carry the service's variables.
 */
import { GROUP_NETMASK, memberAddress, memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { LaunchRequest } from '../backend.ts';
import { readSecrets, type SecretContent } from '../host/secrets.ts';
import { defaultStopSignal, imageCommand, ownCommand, type ServiceCommand } from '../host/service-command.ts';
import { guestVolumes } from '../host/shared-files.ts';

/** Words of a job, and the service's secrets. */
export interface Job {
  readonly words: readonly string[];
  readonly secrets: readonly SecretContent[];
}

/** Default variables in the guest, which the service may override: the same that OCI runtimes set in a container. */
export const DEFAULT_GUEST_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
/** Home of the user in the built-in root and in a shared one; for an image it is looked up in the guest. */
const DEFAULT_HOME = '/root';

/** Addresses of QEMU's user network, its defaults: see `-netdev user` in qemu(1). */
const GUEST_NETWORK = ['ip=10.0.2.15', 'netmask=255.255.255.0', 'gateway=10.0.2.2', 'dns=10.0.2.3'];

/** Properties of a job that do not come from the service. */
interface JobSpec {
  readonly serviceCommand: ServiceCommand;
  /** True if the VM has a device of QEMU's user network. */
  readonly network: boolean;
  /** Index in the network of the group, or in a network of its own; null if the VM has no device there. */
  readonly groupIndex: number | null;
}

/** Words of a job, `key=value`; those of which there is nothing to tell are left out. */
export function renderJobWords(service: Service, spec: JobSpec): string[] {
  const { serviceCommand, network, groupIndex } = spec;
  const { command, args, envs, workdir, user } = serviceCommand;
  const home = user === null ? { HOME: DEFAULT_HOME } : {};
  const env = { ...DEFAULT_GUEST_ENV, ...home, HOSTNAME: service.name, ...envs };
  const words = [`hostname=${service.name}`];
  if (network) words.push(...GUEST_NETWORK);
  if (groupIndex !== null) {
    // By its address the guest knows the device.
    const place = [`group_mac=${memberMac(groupIndex)}`, `group_ip=${memberAddress(groupIndex)}`];
    words.push(...place, `group_netmask=${GROUP_NETMASK}`);
  }
  // Without either, the built-in root is used.
  if (service.image !== null) words.push('root=image');
  else if (service.rootfs !== null) words.push('root=share');
  if (service.disk_mib !== null) words.push('disk=1');
  for (const { name, guest, readOnly } of guestVolumes(service)) {
    words.push(`volume=${readOnly ? 'ro' : 'rw'}:${name}:${guest}`);
  }
  words.push(`workdir=${workdir}`);
  if (user !== null) words.push(`user=${user}`);
  words.push(...[command, ...args].map((word) => `arg=${word}`));
  words.push(...Object.entries(env).map(([name, value]) => `env=${name}=${value}`));
  return words;
}

/** Properties of a launch that determine the job of its guest. */
type JobRequest = Pick<LaunchRequest, 'service' | 'localOnly' | 'groupIndex' | 'image'>;

/** True if the guest needs a user network, to be reached over TCP or to reach the outside. */
export function hasNetwork({ service, localOnly }: Pick<JobRequest, 'service' | 'localOnly'>): boolean {
  return service.ports.some(({ protocol }) => protocol === 'tcp') || !localOnly;
}

/**
 * Builds the job of a guest; reads its secrets.
 *
 * @throws MonocoreError `StartFailed`, also for an image without a command
 */
export async function makeJob(request: JobRequest): Promise<Job> {
  const { service, groupIndex, image = null } = request;
  const serviceCommand = image === null ? ownCommand(service) : imageCommand(service, image.defaults);
  const secrets = await readSecrets(service);
  const network = hasNetwork(request);
  return { words: renderJobWords(service, { serviceCommand, network, groupIndex }), secrets };
}

/** Default stop signal of the command if the config sets none, as kill(1) takes it. */
export function stopSignalOf({ image = null }: Pick<JobRequest, 'image'>): string {
  return image === null ? 'TERM' : defaultStopSignal(image.defaults);
}
