/**
 * The job of a guest: a shell script that tells the guest's init what to run. It travels over the control port, never in
 * an argv or on the kernel's command line, because it carries the service's variables.
 */
import { GROUP_NETMASK, memberAddress, memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { LaunchRequest } from '../backend.ts';
import { readSecrets, type SecretContent } from '../host/secrets.ts';
import { defaultStopSignal, imageCommand, ownCommand, type ServiceCommand } from '../host/service-command.ts';
import { guestVolumes } from '../host/shared-files.ts';

/** The script, and behind it the secrets that the script names, byte for byte. */
export interface Job {
  readonly script: string;
  readonly secrets: readonly SecretContent[];
}

/** Variables of the guest that the service may override: those that OCI runtimes give a container. */
export const DEFAULT_GUEST_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
/** Home of the user of the built-in root and of a shared one; that of an image is looked up in the guest. */
const DEFAULT_HOME = '/root';

/** Addresses of QEMU's user network, its defaults: see `-netdev user` in qemu(1). */
const GUEST_NETWORK = {
  guest_ip: '10.0.2.15',
  guest_netmask: '255.255.255.0',
  guest_gateway: '10.0.2.2',
  guest_dns: '10.0.2.3',
};

/** Any text is true for the guest's shell. */
const flag = (value: boolean): string => (value ? '1' : '');

/** A word that a POSIX shell reads back byte for byte: single quotes protect all but themselves. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Facts of a job besides the service. */
interface JobSpec {
  readonly serviceCommand: ServiceCommand;
  /** True when the VM has a device of QEMU's user network. */
  readonly network: boolean;
  /** Place in the network of the group, or in one of its own; null when the VM has no device there. */
  readonly groupIndex: number | null;
  /** In the order in which they are sent. */
  readonly secrets: readonly SecretContent[];
}

/** A shell function that runs its arguments with the words of each item behind them, and stops at the first failure. */
function renderEach(name: string, items: readonly (readonly string[])[]): string {
  return [`${name}() {`, ...items.map((words) => `"$@" ${words.map(quote).join(' ')} &&`), ':', '}'].join('\n');
}

/** Renders the script, which the guest's init sources. */
export function renderJobScript(service: Service, { serviceCommand, network, groupIndex, secrets }: JobSpec): string {
  const { command, args, envs, workdir, user } = serviceCommand;
  const home = user === null ? { HOME: DEFAULT_HOME } : {};
  const env = { ...DEFAULT_GUEST_ENV, ...home, HOSTNAME: service.name, ...envs };
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const words = [workdir, user ?? '', command, ...args].map(quote);
  return [
    `guest_hostname=${quote(service.name)}`,
    ...Object.entries(GUEST_NETWORK).map(([name, value]) => `${name}=${value}`),
    // By its address the guest knows the device.
    `group_mac=${groupIndex === null ? '' : memberMac(groupIndex)}`,
    `group_ip=${groupIndex === null ? '' : memberAddress(groupIndex)}`,
    `group_netmask=${GROUP_NETMASK}`,
    `guest_workdir=${quote(workdir)}`,
    `guest_user=${quote(user ?? '')}`,
    `network=${flag(network)}`,
    // Without either, the built-in root is used.
    `image=${flag(service.image !== null)}`,
    `shared_root=${flag(service.rootfs !== null)}`,
    `volumes=${flag(service.volumes.length > 0)}`,
    `secrets=${flag(secrets.length > 0)}`,
    `disk=${flag(service.disk_mib !== null)}`,
    renderEach(
      'with_volumes',
      guestVolumes(service).map(({ name, guest, readOnly }) => [name, guest, readOnly ? 'ro' : 'rw']),
    ),
    renderEach(
      'with_secrets',
      secrets.map(({ name, content }) => [name, String(content.length)]),
    ),
    'set_environment() {',
    ...exports,
    '}',
    `with_job() { "$@" ${words.join(' ')}; }`,
    '',
  ].join('\n');
}

/** Facts of a launch that the job of its guest depends on. */
type JobRequest = Pick<LaunchRequest, 'service' | 'localOnly' | 'groupIndex' | 'image'>;

/** True for a guest that needs a user network: to be called over TCP, or to go out. */
export function hasNetwork({ service, localOnly }: Pick<JobRequest, 'service' | 'localOnly'>): boolean {
  return service.ports.some(({ protocol }) => protocol === 'tcp') || !localOnly;
}

/**
 * Makes the job of a guest: reads its secrets.
 *
 * @throws MonocoreError `StartFailed`, also for an image without a command
 */
export async function makeJob(request: JobRequest): Promise<Job> {
  const { service, groupIndex, image = null } = request;
  const serviceCommand = image === null ? ownCommand(service) : imageCommand(service, image.defaults);
  const secrets = await readSecrets(service);
  const network = hasNetwork(request);
  return { script: renderJobScript(service, { serviceCommand, network, groupIndex, secrets }), secrets };
}

/** Default stop signal of the command, for a config that names none; as kill(1) takes it. */
export function stopSignalOf({ image = null }: Pick<JobRequest, 'image'>): string {
  return image === null ? 'TERM' : defaultStopSignal(image.defaults);
}
