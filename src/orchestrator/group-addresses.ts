/** Loopback addresses of groups: a group's services are reached on an address of their own. */
import { MonocoreError } from '../lib/errors.ts';

/** 127.0.0.1 is everybody's, and 127.0.0.255 would be a broadcast address in a /24: as in monocore. */
const FIRST = 2;
const LAST = 254;

/** Who has which address. Lowest free first, stable while the group has members. */
export class GroupAddresses {
  readonly #byGroup = new Map<string, string>();

  /**
   * The group's address; it gets one if it has none.
   *
   * @throws MonocoreError `StartFailed` when all are taken
   */
  assign(group: string): string {
    const known = this.#byGroup.get(group);
    if (known !== undefined) return known;
    const taken = new Set(this.#byGroup.values());
    for (let last = FIRST; last <= LAST; last++) {
      const address = `127.0.0.${last}`;
      if (taken.has(address)) continue;
      this.#byGroup.set(group, address);
      return address;
    }
    throw new MonocoreError('StartFailed', `group ${group} gets no address: 127.0.0.${FIRST} to ${LAST} are all taken`);
  }

  /**
   * Notes an address that a group had in an earlier life of the daemon, unless another group was given it since: all of
   * the one's services had ended then.
   */
  restore(group: string, address: string): void {
    const isTaken = [...this.#byGroup.values()].includes(address);
    if (!isTaken && !this.#byGroup.has(group)) this.#byGroup.set(group, address);
  }

  /** Frees the addresses of all groups but those. */
  keepOnly(groups: ReadonlySet<string>): void {
    for (const group of this.#byGroup.keys()) if (!groups.has(group)) this.#byGroup.delete(group);
  }
}
