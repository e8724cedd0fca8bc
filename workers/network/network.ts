/** The networks of all groups. */
import { isDeepStrictEqual } from 'node:util';
import type { GroupPort, NetworkEvent } from '../../src/protocol/network.ts';
import { DropReport } from './drop-report.ts';
import { GroupSwitch } from './group-switch.ts';
import { VmLink } from './vm-link.ts';

interface Member {
  readonly link: VmLink;
  readonly group: string;
}

/** One switch for each group that has a VM. */
export class Network {
  readonly #post: (event: NetworkEvent) => void;
  readonly #drops: DropReport;
  readonly #switches = new Map<string, GroupSwitch>();
  /** By service. */
  readonly #members = new Map<string, Member>();

  /** @param dropReportMs see `NetworkBoot` */
  constructor(dropReportMs: number, post: (event: NetworkEvent) => void) {
    this.#post = post;
    this.#drops = new DropReport(dropReportMs, post);
  }

  /** As `NetworkApi.attach`. */
  attach(port: GroupPort): void {
    const { service, group } = port;
    if (isDeepStrictEqual(this.#members.get(service)?.link.port, port)) return;
    this.detach(service);
    const hub = this.#switchOf(group);
    const link: VmLink = new VmLink(port, {
      onFrame: (framed) => hub.forward(link, framed),
      onBatch: () => hub.flush(),
      onOversize: () => this.#drops.count(service, 'oversize'),
      onFault: (reason) => {
        hub.remove(link);
        this.#post({ type: 'expelled', service, reason });
      },
      onUnreachable: (error) => this.#post({ type: 'unreachable', service, error }),
    });
    hub.add(link);
    this.#members.set(service, { link, group });
  }

  /** As `NetworkApi.detach`. */
  detach(service: string): void {
    const member = this.#members.get(service);
    if (!member) return;
    this.#members.delete(service);
    member.link.close();
    const hub = this.#switchOf(member.group);
    hub.remove(member.link);
    if (hub.isEmpty) this.#switches.delete(member.group);
  }

  #switchOf(group: string): GroupSwitch {
    const known = this.#switches.get(group);
    if (known) return known;
    const made = new GroupSwitch((service, cause) => this.#drops.count(service, cause));
    this.#switches.set(group, made);
    return made;
  }
}
