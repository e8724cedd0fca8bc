/** What the network of a VM lacks, for the notes of its service. */
import type { Service } from '../../protocol/service.ts';

/**
 * Why this QEMU cannot connect the VMs of a group, or open UDP ports, for people; null when it can. `-netdev stream` came with QEMU 7.2.
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
 * @param obstacle why it has no device in the network of its group; null when it has, or needs none
 */
export function describeNetworkLimits({ group, ports }: Service, obstacle: string | null): string[] {
  if (obstacle === null) return [];
  const notes = group === null ? [] : [`it reaches no service of its group by name: ${obstacle}`];
  if (ports.some(({ protocol }) => protocol === 'udp')) notes.push(`its UDP ports are closed: ${obstacle}`);
  return notes;
}
