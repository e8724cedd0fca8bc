/** Addresses of services: the loopback address of each group, and the place of each VM in its group's network. */
import { MonocoreError } from '../lib/errors.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import { type GroupMember, LONE_INDEX, MAX_GROUP_MEMBERS, memberAddress } from '../protocol/network.ts';
import type { Group, Service } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { NetworkSink } from '../supervisor/interfaces.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { compareNames } from './registry.ts';

/** Last bytes of group addresses: 127.0.0.1 belongs to everybody, 127.0.0.255 is the broadcast address of a /24. */
const FIRST_ADDRESS = 2;
const LAST_ADDRESS = 254;

/** Numbers by name: the lowest free one is given first, and a name keeps its number. */
class NumberPool {
  readonly #first: number;
  readonly #last: number;
  readonly byName = new Map<string, number>();

  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
  }

  /** The number of `name`, which gets one if it has none; null when all are taken. */
  assign(name: string): number | null {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const taken = new Set(this.byName.values());
    let number = this.#first;
    while (taken.has(number)) number += 1;
    if (number > this.#last) return null;
    this.byName.set(name, number);
    return number;
  }

  /** Gives `name` its former number, unless another name has it by now. */
  restore(name: string, number: number): void {
    const isValid = Number.isInteger(number) && number >= this.#first && number <= this.#last;
    if (isValid && !this.byName.has(name) && ![...this.byName.values()].includes(number)) this.byName.set(name, number);
  }

  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.byName.keys()) if (!names.has(name)) this.byName.delete(name);
  }
}

/** Address and place of a service. */
type Place = Required<Pick<ServiceDefinition, 'groupIp' | 'groupIndex'>>;

/** Groups of a home. Main thread. */
export class Groups {
  readonly #addresses = new NumberPool(FIRST_ADDRESS, LAST_ADDRESS);
  readonly #members = new Map<string, NumberPool>();
  readonly #network: NetworkSink;

  /** @param network gets the members of each group */
  constructor(network: NetworkSink) {
    this.#network = network;
  }

  /**
   * Place of a service, which it keeps while it is known. A plain process has none within the group: it is on the host's
   * network. A VM with UDP ports has one even without a group, because they are reached through its network.
   *
   * @throws MonocoreError `StartFailed` when all addresses of groups, or all places of the group, are taken
   */
  place({ name, isolation, ports }: Service, group: Group | null): Place {
    const { networks, udp } = capabilitiesOf(isolation);
    if (group === null) {
      const isReached = udp && ports.some(({ protocol }) => protocol === 'udp');
      return { groupIp: null, groupIndex: isReached ? LONE_INDEX : null };
    }
    const lastByte = this.#addresses.assign(group.name);
    if (lastByte === null) {
      const range = `127.0.0.${FIRST_ADDRESS} to ${LAST_ADDRESS}`;
      throw new MonocoreError('StartFailed', `group ${group.name} gets no address: ${range} are all taken`);
    }
    const groupIp = `127.0.0.${lastByte}`;
    if (!networks) return { groupIp, groupIndex: null };
    const groupIndex = this.#membersOf(group.name).assign(name);
    if (groupIndex === null) {
      const reason = `a group has at most ${MAX_GROUP_MEMBERS} services`;
      throw new MonocoreError('StartFailed', `group ${group.name} has no place for ${name}: ${reason}`);
    }
    return { groupIp, groupIndex };
  }

  /** Restores the places of an earlier daemon; of two services with the same place, the first keeps it. */
  restore(saved: readonly SavedState[]): void {
    for (const { service, group, group_ip: groupIp, group_index: groupIndex } of saved) {
      const [, lastByte] = /^127\.0\.0\.(\d+)$/.exec(groupIp ?? '') ?? [];
      if (group && lastByte !== undefined) this.#addresses.restore(group.name, Number(lastByte));
      if (group && groupIndex !== null) this.#membersOf(group.name).restore(service.name, groupIndex);
    }
  }

  /** Frees the places of all other services, and tells the VMs of each group their fellow members. */
  keepOnly(known: readonly ServiceDefinition[]): void {
    const services = known.map(({ service }) => service);
    this.#addresses.keepOnly(new Set(services.flatMap(({ group }) => group ?? [])));
    const networked = services.filter(({ isolation }) => capabilitiesOf(isolation).networks);
    for (const [group, members] of this.#members) {
      // A group without members is kept until here, so that its end is shared once.
      if (members.byName.size === 0) this.#members.delete(group);
      members.keepOnly(new Set(networked.filter((service) => service.group === group).map(({ name }) => name)));
    }
    this.shareMembers();
  }

  /** Tells the VMs of each group their fellow members. */
  shareMembers(): void {
    for (const [group, { byName }] of this.#members) {
      const members = [...byName].map(([name, index]): GroupMember => ({ name, address: memberAddress(index) }));
      this.#network.setMembers(group, members.sort(compareNames));
    }
  }

  #membersOf(group: string): NumberPool {
    const members = this.#members.get(group) ?? new NumberPool(1, MAX_GROUP_MEMBERS);
    this.#members.set(group, members);
    return members;
  }
}
