/** Networks of all groups. */
import { isDeepStrictEqual } from 'node:util';
import {
  type DropCause,
  GATEWAY_INDEX,
  type GroupPort,
  type NetworkApi,
  type NetworkEvent,
} from '../../src/protocol/network.ts';
import { destinationOf, isForAll, isGenuine } from './frame.ts';
import { Gateway } from './gateway.ts';
import { VmLink } from './vm-link.ts';

interface Member {
  readonly link: VmLink;
  readonly gateway: Gateway;
  readonly network: string;
}

/** Switches: one for each group with a VM, and one for each VM without a group. */
export class Network implements NetworkApi {
  readonly #post: (event: NetworkEvent) => void;
  readonly #drops: DropReport;
  readonly #switches = new Map<string, GroupSwitch>();
  readonly #members = new Map<string, Member>();

  constructor(dropReportMs: number, post: (event: NetworkEvent) => void) {
    this.#post = post;
    this.#drops = new DropReport(dropReportMs, post);
  }

  async attach(port: GroupPort): Promise<void> {
    const { service } = port;
    if (isDeepStrictEqual(this.#members.get(service)?.link.port, port)) return;
    this.#detach(service);
    // Name of the group, or one that no group can have.
    const network = port.group ?? `/${service}`;
    const hub = this.#switchOf(network);
    const link: VmLink = new VmLink(port, {
      onFrame: (framed) => hub.forward(link, gateway, framed),
      onBatch: () => hub.flush(),
      onOversize: () => this.#drops.count(service, 'oversize'),
      onFault: (reason) => {
        hub.remove(link);
        this.#post({ type: 'expelled', service, reason });
      },
      onUnreachable: (error) => this.#post({ type: 'unreachable', service, error }),
    });
    const gateway = new Gateway(port, {
      send: (framed) => {
        hub.send(link, framed);
        hub.flush();
      },
      drop: (cause) => this.#drops.count(service, cause),
      onPorts: (closed) => this.#post({ type: 'udp-ports', service, closed }),
    });
    hub.add(link);
    this.#members.set(service, { link, gateway, network });
  }

  async detach(service: string): Promise<void> {
    this.#detach(service);
  }

  #detach(service: string): void {
    const member = this.#members.get(service);
    if (!member) return;
    this.#members.delete(service);
    member.gateway.close();
    member.link.close();
    const hub = this.#switchOf(member.network);
    hub.remove(member.link);
    if (hub.isEmpty) this.#switches.delete(member.network);
  }

  #switchOf(network: string): GroupSwitch {
    const known = this.#switches.get(network);
    if (known) return known;
    const made = new GroupSwitch((service, cause) => this.#drops.count(service, cause));
    this.#switches.set(network, made);
    return made;
  }
}

/** Counts dropped frames and reports them after a delay. Without drops no timer runs. */
class DropReport {
  readonly #delayMs: number;
  readonly #post: (event: NetworkEvent) => void;
  /** Reports by service and cause. */
  readonly #reports = new Map<string, { type: 'dropped'; service: string; cause: DropCause; frames: number }>();
  #timer: NodeJS.Timeout | null = null;

  /** Creates the report. @param delayMs time from the first drop to the report */
  constructor(delayMs: number, post: (event: NetworkEvent) => void) {
    this.#delayMs = delayMs;
    this.#post = post;
  }

  count(service: string, cause: DropCause): void {
    const key = `${service} ${cause}`;
    const report = this.#reports.get(key) ?? { type: 'dropped', service, cause, frames: 0 };
    report.frames += 1;
    this.#reports.set(key, report);
    this.#timer ??= setTimeout(() => this.#tell(), this.#delayMs);
  }

  #tell(): void {
    this.#timer = null;
    for (const report of this.#reports.values()) this.#post(report);
    this.#reports.clear();
  }
}

/**
 * Ethernet switch between the VMs of one group. It does not learn addresses: a member's address follows from its index,
 * and it may use no other. So no frame is flooded because its destination is unknown; it is dropped instead.
 */
class GroupSwitch {
  readonly #drop: (service: string, cause: DropCause) => void;
  readonly #links = new Map<number, VmLink>();
  /** Links with frames that have not been written yet. */
  readonly #touched = new Set<VmLink>();

  /** Creates the switch. @param drop called for each dropped frame, with the VM that caused it */
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

  /** Forwards a frame from a member. @param gateway of that member */
  forward(from: VmLink, gateway: Gateway, framed: Buffer): void {
    const { index, service } = from.port;
    if (!isGenuine(framed, index)) {
      this.#drop(service, 'foreign');
    } else if (!isForAll(framed)) {
      const destination = destinationOf(framed) ?? 0;
      const to = this.#links.get(destination);
      if (destination === GATEWAY_INDEX) gateway.receive(framed);
      else if (to && to !== from) this.send(to, framed);
    } else if (!from.broadcasts.take()) {
      this.#drop(service, 'flood');
    } else if (!gateway.answerArp(framed)) {
      for (const to of this.#links.values()) if (to !== from) this.send(to, framed);
    }
  }

  /** Queues a frame for a member until the next {@link GroupSwitch.flush}. */
  send(to: VmLink, framed: Buffer): void {
    if (to.send(framed)) this.#touched.add(to);
    else this.#drop(to.port.service, 'full');
  }

  /** Writes all queued frames, combining many into one write. */
  flush(): void {
    for (const link of this.#touched) link.flush();
    this.#touched.clear();
  }
}
