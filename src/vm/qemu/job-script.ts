/**
 * The script that tells the guest's init what to run. It travels over the control port, never in an argv or on the
 * kernel's command line, because it carries the service's variables.
 */
import type { Service } from '../../protocol/service.ts';

/** What is set in the guest unless the service sets it: what OCI runtimes give a container. */
export const DEFAULT_GUEST_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
};

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

/**
 * The job of a service for the guest's init, which sources it.
 *
 * @param network whether the VM has a network device
 * @param sharedRoot whether the VM has a shared root directory, else the built-in root is used
 */
export function renderJobScript(service: Service, network: boolean, sharedRoot: boolean): string {
  const env = { ...DEFAULT_GUEST_ENV, HOSTNAME: service.name, ...service.envs };
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const words = [service.workdir, service.command, ...service.args].map(quote);
  return [
    `guest_hostname=${quote(service.name)}`,
    ...Object.entries(GUEST_NETWORK).map(([name, value]) => `${name}=${value}`),
    `guest_workdir=${quote(service.workdir)}`,
    `network=${flag(network)}`,
    `shared_root=${flag(sharedRoot)}`,
    `disk=${flag(service.disk_mib !== null)}`,
    'set_environment() {',
    ...exports,
    '}',
    `with_job() { "$@" ${words.join(' ')}; }`,
    '',
  ].join('\n');
}
