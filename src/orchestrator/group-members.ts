/** Who is in which group, and where in its network. */
import { MonocoreError } from '../lib/errors.ts';
import { type GroupMember, MAX_GROUP_MEMBERS, memberAddress } from '../protocol/network.ts';
import type { Service } from '../protocol/service.ts';

/** Indices of the VMs of each group. Lowest free first, stable while the service is known. */
export class GroupMembers {
  readonly #byGroup = new Map<string, Map<string, number>>();

  /**
   * The service's index; it gets one if it has none.
   *
   * @throws MonocoreError `StartFailed` when all are taken
   */
  assign(group: string, service: string): number {
    const members = this.#membersOf(group);
    const known = members.get(service);
    if (known !== undefined) return known;
    const taken = new Set(members.values());
    for (let index = 1; index <= MAX_GROUP_MEMBERS; index++) {
      if (taken.has(index)) continue;
      members.set(service, index);
      return index;
    }
    throw new MonocoreError(
      'StartFailed',
      `group ${group} has ${MAX_GROUP_MEMBERS} services, which is all that it can`,
    );
  }

  /** Notes the index of an earlier life of the daemon, unless another service has it by now. */
  restore(group: string, service: string, index: number): void {
    const members = this.#membersOf(group);
    const isValid = Number.isInteger(index) && index >= 1 && index <= MAX_GROUP_MEMBERS;
    if (isValid && !members.has(service) && ![...members.values()].includes(index)) members.set(service, index);
  }

  /** Every group that has a member, or had one until lately. */
  groups(): string[] {
    return [...this.#byGroup.keys()];
  }

  /** Names and addresses of a group's members, sorted by name. */
  list(group: string): GroupMember[] {
    return [...(this.#byGroup.get(group) ?? [])]
      .map(([name, index]) => ({ name, address: memberAddress(index) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Frees the indices of all services but those. A group that is left without any is forgotten the next time. */
  keepOnly(services: readonly Pick<Service, 'name' | 'group'>[]): void {
    for (const [group, members] of this.#byGroup) {
      if (members.size === 0) this.#byGroup.delete(group);
      const kept = new Set(services.filter((service) => service.group === group).map(({ name }) => name));
      for (const service of members.keys()) if (!kept.has(service)) members.delete(service);
    }
  }

  #membersOf(group: string): Map<string, number> {
    const members = this.#byGroup.get(group) ?? new Map<string, number>();
    this.#byGroup.set(group, members);
    return members;
  }
}
