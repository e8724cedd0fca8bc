/** Addresses of services: the loopback address of each group, and the index of each VM in its group's network. */
import { MonocoreError } from '../lib/errors.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import { type GroupMember, LONE_INDEX, MAX_GROUP_MEMBERS, memberAddress } from '../protocol/network.ts';
import { compareNames } from '../protocol/selection.ts';
import type { Group, Service } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { NetworkSink } from '../supervisor/interfaces.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Last bytes of group addresses: 127.0.0.1 is used by everybody, 127.0.0.255 is the broadcast address of a /24. */
const ADDRESSES: Range = { first: 2, last: 254 };
const MEMBERS: Range = { first: 1, last: MAX_GROUP_MEMBERS };

type Numbers = Map<string, number>;

/**
 * Number of `name`; assigns the lowest free one if it has none. Null if all are taken.
 *
 * @param reserved numbers that are not free
 */
function assign(
  numbers: Numbers,
  name: string,
  { first, last }: Range,
  reserved: Iterable<number> = [],
): number | null {
  const known = numbers.get(name);
  if (known !== undefined) return known;
  const taken = new Set([...numbers.values(), ...reserved]);
  let number = first;
  while (taken.has(number)) number += 1;
  if (number > last) return null;
  numbers.set(name, number);
  return number;
}

/** Name with the number that it had under an earlier daemon. */
type Former = readonly [name: string, number: number];

/** Assigns former numbers again; if two names have the same number, the first gets it. */
function restore(numbers: Numbers, former: readonly Former[], { first, last }: Range): void {
  const taken = new Set(numbers.values());
  for (const [name, number] of former) {
    const isValid = Number.isInteger(number) && number >= first && number <= last;
    if (!isValid || numbers.has(name) || taken.has(number)) continue;
    numbers.set(name, number);
    taken.add(number);
  }
}

function keepOnly(numbers: Numbers, names: ReadonlySet<string>): void {
  for (const name of numbers.keys()) if (!names.has(name)) numbers.delete(name);
}

/** Last byte of an address of a group; null for any other address. */
function lastByteOf(address: string | null): number | null {
  const [, lastByte] = /^127\.0\.0\.(\d+)$/.exec(address ?? '') ?? [];
  return lastByte === undefined ? null : Number(lastByte);
}

/** Group address of a service, and its index in the group's network. */
type Place = Required<Pick<ServiceDefinition, 'groupIp' | 'groupIndex'>>;

/** Groups of a home: assigns addresses and indexes. Main thread. */
export class Groups {
  /** Last bytes of the addresses, by group. */
  readonly #addresses: Numbers = new Map();
  /** Last bytes of the addresses that configs name, by group; no other group is assigned one of them. */
  readonly #reserved: Numbers = new Map();
  /** Indexes of the services of each group. */
  readonly #members = new Map<string, Numbers>();
  /** Names shared by several members: that of a service with replicas, by the name of the replica. */
  readonly #sharedNames = new Map<string, string>();
  /** Members that no config declares; others cannot look them up by name. */
  readonly #nameless = new Set<string>();
  readonly #network: NetworkSink;

  /** Creates the groups. @param network receives the members of each group */
  constructor(network: NetworkSink) {
    this.#network = network;
  }

  /**
   * Assigns an address and an index to a service, which keeps them while it is known. A plain process has no index,
   * because it uses the host's network. A VM with UDP ports has an index even without a group, because they are reached
   * through its network.
   *
   * @throws MonocoreError `StartFailed` if no group address or no index in the group is free
   */
  place(service: Service, group: Group | null): Place {
    const { name, isolation, ports } = service;
    this.#noteName(service, false);
    const { networks, udp } = capabilitiesOf(isolation);
    if (group === null) {
      const isReached = udp && ports.some(({ protocol }) => protocol === 'udp');
      return { groupIp: null, groupIndex: isReached ? LONE_INDEX : null };
    }
    const groupIp = group.address ?? this.#assignAddress(group.name);
    if (!networks) return { groupIp, groupIndex: null };
    const groupIndex = assign(this.#membersOf(group.name), name, MEMBERS);
    if (groupIndex === null) {
      const reason = `a group has at most ${MAX_GROUP_MEMBERS} services`;
      throw new MonocoreError('StartFailed', `group ${group.name} has no room for ${name}: ${reason}`);
    }
    return { groupIp, groupIndex };
  }

  /** Reserves the addresses that a config names; other groups are assigned different ones. */
  reserve(groups: readonly Group[]): void {
    for (const { name, address } of groups) {
      const lastByte = lastByteOf(address);
      if (lastByte === null) this.#reserved.delete(name);
      else this.#reserved.set(name, lastByte);
      if (address !== null) this.#addresses.delete(name);
    }
  }

  #assignAddress(group: string): string {
    const lastByte = assign(this.#addresses, group, ADDRESSES, this.#reserved.values());
    if (lastByte === null) {
      const range = `127.0.0.${ADDRESSES.first} to ${ADDRESSES.last}`;
      throw new MonocoreError('StartFailed', `no address is left for group ${group}: ${range} are all taken`);
    }
    return `127.0.0.${lastByte}`;
  }

  /** Restores the assignments of an earlier daemon; if two services have the same one, the first keeps it. */
  restore(saved: readonly SavedState[]): void {
    const addresses: Former[] = [];
    const places = new Map<string, Former[]>();
    for (const { service, group, group_ip: groupIp, group_index: groupIndex } of saved) {
      if (!group) continue;
      this.reserve([group]);
      const lastByte = group.address === null ? lastByteOf(groupIp) : null;
      if (lastByte !== null) addresses.push([group.name, lastByte]);
      if (groupIndex === null) continue;
      const members = places.get(group.name) ?? [];
      places.set(group.name, members);
      members.push([service.name, groupIndex]);
    }
    restore(this.#addresses, addresses, ADDRESSES);
    for (const [group, members] of places) restore(this.#membersOf(group), members, MEMBERS);
  }

  /**
   * Frees the assignments of all services that are not in `known`, and tells the VMs of each group about its members.
   */
  keepOnly(known: readonly ServiceDefinition[]): void {
    const services = known.map(({ service }) => service);
    this.#sharedNames.clear();
    this.#nameless.clear();
    // The first definition of a service wins: that of a start in progress.
    for (const { service, undeclared = false } of [...known].reverse()) this.#noteName(service, undeclared);
    const groups = new Set(services.flatMap(({ group }) => group ?? []));
    for (const numbers of [this.#addresses, this.#reserved]) keepOnly(numbers, groups);
    const networked = services.filter(({ isolation }) => capabilitiesOf(isolation).networks);
    for (const [group, members] of this.#members) {
      // An empty group is kept until here, so that the worker is told once that it is gone.
      if (members.size === 0) this.#members.delete(group);
      keepOnly(members, new Set(networked.filter((service) => service.group === group).map(({ name }) => name)));
    }
    this.shareMembers();
  }

  /** Tells the VMs of each group about its members. */
  shareMembers(): void {
    for (const [group, places] of this.#members) {
      const named = [...places].filter(([name]) => !this.#nameless.has(name));
      const members = named.map(([name, index]): GroupMember => ({ name, address: memberAddress(index) }));
      members.sort(compareNames);
      const own = new Set(members.map(({ name }) => name));
      const shared = members.flatMap(({ name, address }): GroupMember[] => {
        const base = this.#sharedNames.get(name);
        return base === undefined || own.has(base) ? [] : [{ name: base, address }];
      });
      this.#network.setMembers(group, [...members, ...shared]);
    }
  }

  #noteName({ name, replica_of }: Service, isNameless: boolean): void {
    if (replica_of === null) this.#sharedNames.delete(name);
    else this.#sharedNames.set(name, replica_of);
    if (isNameless) this.#nameless.add(name);
    else this.#nameless.delete(name);
  }

  #membersOf(group: string): Numbers {
    const members = this.#members.get(group) ?? new Map<string, number>();
    this.#members.set(group, members);
    return members;
  }
}
