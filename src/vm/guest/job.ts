/**
 * The script that tells the guest's init what to run. It travels over the control port, never in an argv or on the
 * kernel's command line, because it carries the service's variables.
 */
import { GROUP_NETMASK, memberAddress, memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { SecretContent } from '../host/secrets.ts';
import type { ServiceCommand } from '../host/service-command.ts';
import { guestVolumes } from '../host/shared-files.ts';

/** What a guest is sent: the script, and behind it the secrets that the script names, byte for byte. */
export interface Job {
  readonly script: string;
  readonly secrets: readonly SecretContent[];
}

/** What is set in the guest unless the service sets it: what OCI runtimes give a container. */
export const DEFAULT_GUEST_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
/** The same for the user of the built-in root and of a shared one; that of an image is looked up in the guest. */
const DEFAULT_HOME = '/root';

/** Addresses of QEMU's user network, its defaults: see `-netdev user` in qemu(1). */
const GUEST_NETWORK = {
  guest_ip: '10.0.2.15',
  guest_netmask: '255.255.255.0',
  guest_gateway: '10.0.2.2',
  guest_dns: '10.0.2.3',
};

/** True for the guest's shell is any text. */
const flag = (value: boolean): string => (value ? '1' : '');

/** A word that a POSIX shell reads back byte for byte: single quotes protect all but themselves. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What the guest is told besides the service. */
export interface JobSpec {
  readonly serviceCommand: ServiceCommand;
  /** Whether the VM has a device of QEMU's user network. */
  readonly network: boolean;
  /** Its place in the network of its group, or in one of its own; null when it has no device there. */
  readonly groupIndex: number | null;
  /** Whether the VM has a shared root directory. Without one, and without an image, the built-in root is used. */
  readonly sharedRoot: boolean;
  /** Whether its root is an image. False by default. */
  readonly image?: boolean;
  /** In the order in which they are sent. */
  readonly secrets: readonly SecretContent[];
}

/** A function that runs its arguments with the words of each item behind them, and ends at the first failure. */
function renderEach(name: string, items: readonly (readonly string[])[]): string {
  return [`${name}() {`, ...items.map((words) => `"$@" ${words.map(quote).join(' ')} &&`), ':', '}'].join('\n');
}

/** The job of a service for the guest's init, which sources it. */
export function renderJobScript(
  service: Service,
  { serviceCommand, network, groupIndex, sharedRoot, image = false, secrets }: JobSpec,
): string {
  const { command, args, envs, workdir, user } = serviceCommand;
  const home = user === null ? { HOME: DEFAULT_HOME } : {};
  const env = { ...DEFAULT_GUEST_ENV, ...home, HOSTNAME: service.name, ...envs };
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const words = [workdir, user ?? '', command, ...args].map(quote);
  return [
    `guest_hostname=${quote(service.name)}`,
    ...Object.entries(GUEST_NETWORK).map(([name, value]) => `${name}=${value}`),
    // The address tells the guest which of its devices is meant.
    `group_mac=${groupIndex === null ? '' : memberMac(groupIndex)}`,
    `group_ip=${groupIndex === null ? '' : memberAddress(groupIndex)}`,
    `group_netmask=${GROUP_NETMASK}`,
    `guest_workdir=${quote(workdir)}`,
    `guest_user=${quote(user ?? '')}`,
    `network=${flag(network)}`,
    `image=${flag(image)}`,
    `shared_root=${flag(sharedRoot)}`,
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
