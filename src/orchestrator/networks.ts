/** Where services are to be reached: the addresses of groups on the host, and the places of VMs within their groups. */

import { capabilitiesOf } from '../protocol/isolation.ts';
import { LONE_INDEX } from '../protocol/network.ts';
import type { Group, Service } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { NetworkSink } from '../supervisor/interfaces.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { GroupAddresses } from './group-addresses.ts';
import { GroupMembers } from './group-members.ts';

/** What a service gets of its group. */
export type Place = Required<Pick<ServiceDefinition, 'groupIp' | 'groupIndex'>>;

/** All groups of a home. Main thread. */
export class Groups {
  readonly #addresses = new GroupAddresses();
  readonly #members = new GroupMembers();
  readonly #network: NetworkSink;

  /** @param network told who is in which group */
  constructor(network: NetworkSink) {
    this.#network = network;
  }

  /**
   * The place of a service, kept while it is known. A plain process has none within the group: it is on the host's network.
   * A VM with UDP ports has one even without a group, for they are reached through its network.
   *
   * @throws MonocoreError `StartFailed` when there is none left
   */
  place({ name, isolation, ports }: Service, group: Group | null): Place {
    const { networks, udp } = capabilitiesOf(isolation);
    if (group === null) {
      const isReached = udp && ports.some(({ protocol }) => protocol === 'udp');
      return { groupIp: null, groupIndex: isReached ? LONE_INDEX : null };
    }
    const groupIp = this.#addresses.assign(group.name);
    return { groupIp, groupIndex: networks ? this.#members.assign(group.name, name) : null };
  }

  /** Notes the places that services had under an earlier daemon; of two that claim the same one the first has it. */
  restore(documents: readonly SavedState[]): void {
    for (const { service, group, group_ip: groupIp, group_index: groupIndex } of documents) {
      if (group && groupIp !== null) this.#addresses.restore(group.name, groupIp);
      if (group && groupIndex !== null) this.#members.restore(group.name, service.name, groupIndex);
    }
  }

  /** Frees the places of all services but those, and lets the VMs of each group know whom they have with them. */
  keepOnly(known: readonly ServiceDefinition[]): void {
    const services = known.map(({ service }) => service);
    this.#addresses.keepOnly(new Set(services.flatMap(({ group }) => group ?? [])));
    this.#members.keepOnly(services.filter(({ isolation }) => capabilitiesOf(isolation).networks));
    this.shareNames();
  }

  /** Lets all VMs know whom they have in their groups now. */
  shareNames(): void {
    for (const group of this.#members.groups()) this.#network.setMembers(group, this.#members.list(group));
  }
}
