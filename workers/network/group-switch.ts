/** An Ethernet switch between the VMs of one group. */
import type { DropCause } from '../../src/protocol/network.ts';
import { destinationOf, isForAll, isGenuine } from './frame.ts';
import type { VmLink } from './vm-link.ts';

/**
 * Which address is behind which link needs no learning: a member's address follows from its index, and it may use no other.
 * So no frame has to go to everybody for want of knowledge, and one for an address that nobody has goes nowhere.
 */
export class GroupSwitch {
  readonly #drop: (service: string, cause: DropCause) => void;
  readonly #links = new Map<number, VmLink>();
  /** Links that were sent something which is not written yet. */
  readonly #touched = new Set<VmLink>();

  /** @param drop told of each frame that is not passed on, with the VM whose doing that is */
  constructor(drop: (service: string, cause: DropCause) => void) {
    this.#drop = drop;
  }

  get isEmpty(): boolean {
    return this.#links.size === 0;
  }

  add(link: VmLink): void {
    this.#links.set(link.port.index, link);
  }

  remove(link: VmLink): void {
    if (this.#links.get(link.port.index) === link) this.#links.delete(link.port.index);
    this.#touched.delete(link);
  }

  /** Passes on what a member sent. */
  forward(from: VmLink, framed: Buffer): void {
    const { index, service } = from.port;
    if (!isGenuine(framed, index)) {
      this.#drop(service, 'foreign');
    } else if (!isForAll(framed)) {
      const to = this.#links.get(destinationOf(framed) ?? 0);
      if (to && to !== from) this.#send(to, framed);
    } else if (from.flood.take()) {
      for (const to of this.#links.values()) if (to !== from) this.#send(to, framed);
    } else {
      this.#drop(service, 'flood');
    }
  }

  /** Writes what was passed on since the last time: once for many frames. */
  flush(): void {
    for (const link of this.#touched) link.flush();
    this.#touched.clear();
  }

  #send(to: VmLink, framed: Buffer): void {
    if (!to.connected) return;
    if (to.send(framed)) this.#touched.add(to);
    else this.#drop(to.port.service, 'full');
  }
}
