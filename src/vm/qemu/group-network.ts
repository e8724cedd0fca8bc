/** What the network of a VM lacks, for the notes of its service. */
import type { Service } from '../../protocol/service.ts';

/**
 * Why this QEMU cannot connect the VMs of a group, for people; null when it can. `-netdev stream` came with QEMU 7.2.
 *
 * @param version as QEMU tells it: `7.2.22`
 */
export function groupObstacle(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  if (major > 7 || (major === 7 && minor >= 2)) return null;
  return `QEMU ${version} has no -netdev stream; 7.2 and newer have it`;
}

/**
 * What does not work of the network that a service asked for, for people.
 *
 * In a guest that may not go out nothing that it sends by UDP leaves QEMU, not even an answer: udp_input() of libslirp's
 * src/udp.c drops it where `restrict` is on. TCP connections that come in are let through both ways.
 */
export function describeNetworkLimits(service: Service, localOnly: boolean, obstacle: string | null): string[] {
  const notes = obstacle === null ? [] : [`it reaches no service of its group by name: ${obstacle}`];
  if (localOnly && service.ports.some(({ protocol }) => protocol === 'udp')) {
    notes.push('what comes to its UDP ports arrives, but QEMU lets no answer out; local_only = false does');
  }
  return notes;
}
