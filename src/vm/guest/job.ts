/**
 * Job of a guest: a shell script that tells the guest's init what to run. It is sent over the control port, never in an
 * argument list or on the kernel's command line, because it contains the service's variables.
 */
import { GROUP_NETMASK, memberAddress, memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { LaunchRequest } from '../backend.ts';
import { readSecrets, type SecretContent } from '../host/secrets.ts';
import { defaultStopSignal, imageCommand, ownCommand, type ServiceCommand } from '../host/service-command.ts';
import { guestVolumes } from '../host/shared-files.ts';

/** Script, followed by the secrets that it lists, byte for byte. */
export interface Job {
  readonly script: string;
  readonly secrets: readonly SecretContent[];
}

/** Default variables in the guest, which the service may override: the same that OCI runtimes set in a container. */
export const DEFAULT_GUEST_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
/** Home of the user in the built-in root and in a shared one; for an image it is looked up in the guest. */
const DEFAULT_HOME = '/root';

/** Addresses of QEMU's user network, see the defaults of `-netdev user` in qemu(1). */
const GUEST_NETWORK = {
  guest_ip: '10.0.2.15',
  guest_netmask: '255.255.255.0',
  guest_gateway: '10.0.2.2',
  guest_dns: '10.0.2.3',
};

/** Boolean for the guest's shell, where any non-empty text is true. */
const flag = (value: boolean): string => (value ? '1' : '');

/** Quotes a word so that a POSIX shell reads it back byte for byte: single quotes protect everything but themselves. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Properties of a job that do not come from the service. */
interface JobSpec {
  readonly serviceCommand: ServiceCommand;
  /** True if the VM has a device of QEMU's user network. */
  readonly network: boolean;
  /** Index in the network of the group, or in a network of its own; null if the VM has no device there. */
  readonly groupIndex: number | null;
  /** Secrets in the order in which they are sent. */
  readonly secrets: readonly SecretContent[];
}

/**
 * Shell function that calls its arguments once per item, with the item's words appended, and stops at the first
 * failure.
 */
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
    // The guest identifies the device by its address.
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
  return { script: renderJobScript(service, { serviceCommand, network, groupIndex, secrets }), secrets };
}

/** Default stop signal of the command if the config sets none, as kill(1) takes it. */
export function stopSignalOf({ image = null }: Pick<JobRequest, 'image'>): string {
  return image === null ? 'TERM' : defaultStopSignal(image.defaults);
}
