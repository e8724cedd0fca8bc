/** An Ethernet switch between the VMs of one group. */
import { type DropCause, GATEWAY_INDEX } from '../../src/protocol/network.ts';
import { destinationOf, isForAll, isGenuine } from './frame.ts';
import type { Gateway } from './gateway.ts';
import type { VmLink } from './vm-link.ts';

/**
 * It learns no addresses: a member's address follows from its index, and it may use no other. So no frame is flooded for
 * want of knowledge, and one for an unknown address is dropped.
 */
export class GroupSwitch {
  readonly #drop: (service: string, cause: DropCause) => void;
  readonly #links = new Map<number, VmLink>();
  /** Links with frames that are not written yet. */
  readonly #touched = new Set<VmLink>();

  /** @param drop told of each dropped frame, with the VM that caused it */
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

  /** Forwards a member's frame. @param gateway of that member */
  forward(from: VmLink, gateway: Gateway, framed: Buffer): void {
    const { index, service } = from.port;
    if (!isGenuine(framed, index)) {
      this.#drop(service, 'foreign');
    } else if (!isForAll(framed)) {
      const destination = destinationOf(framed) ?? 0;
      const to = this.#links.get(destination);
      if (destination === GATEWAY_INDEX) gateway.receive(framed);
      else if (to && to !== from) this.send(to, framed);
    } else if (!from.flood.take()) {
      this.#drop(service, 'flood');
    } else if (!gateway.answerArp(framed)) {
      for (const to of this.#links.values()) if (to !== from) this.send(to, framed);
    }
  }

  /** Queues a frame for a member until the next {@link GroupSwitch.flush}. */
  send(to: VmLink, framed: Buffer): void {
    if (!to.connected) return;
    if (to.send(framed)) this.#touched.add(to);
    else this.#drop(to.port.service, 'full');
  }

  /** Writes all queued frames, one write for many. */
  flush(): void {
    for (const link of this.#touched) link.flush();
    this.#touched.clear();
  }
}
