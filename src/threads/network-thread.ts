/** The main thread's side of the network worker, and who is in which group. */
import { isDeepStrictEqual } from 'node:util';
import { errorText } from '../errors.ts';
import type { NetworkSink, Report } from '../lifecycle/ports.ts';
import type { DropCause, GroupMember, GroupPort, NetworkApi, NetworkEvent } from '../protocol/network.ts';
import { ThreadService } from './service.ts';

/** Time from a drop to the message in the daemon's log. */
const DROP_REPORT_MS = 10_000;

/** What to say of frames that were dropped; all but the first is the doing of the guest itself. */
const DROP_MESSAGES: Readonly<Record<DropCause, string>> = {
  full: 'were not delivered to it, because it reads too slowly',
  foreign: 'that it sent were dropped: neither IPv4 nor ARP from its own address',
  flood: 'that it sent to all of its group were dropped: too many at once',
  oversize: 'that it sent were dropped: larger than 1514 bytes, so its MTU is above 1500',
};

interface Attachment {
  readonly port: GroupPort;
  readonly onNames: (members: readonly GroupMember[]) => void;
}

/** The network worker. Its thread is started with the first VM that is in a group. Main thread. */
export class NetworkThread implements NetworkSink {
  readonly thread: ThreadService<NetworkApi, NetworkEvent>;
  readonly #report: Report;
  readonly #attached = new Map<string, Attachment>();
  /** By group. */
  readonly #members = new Map<string, readonly GroupMember[]>();
  #isStarted = false;

  constructor(report: Report, dropReportMs: number = DROP_REPORT_MS) {
    this.#report = report;
    this.thread = new ThreadService<NetworkApi, NetworkEvent>({
      entry: 'network',
      data: () => ({ data: { dropReportMs } }),
      deadlines: { defaultMs: 10_000 },
      onEvent: (event) => this.#onEvent(event),
      onDeath: (error) => report('error', `${error.message}; it is started again`),
      onReady: async (api) => {
        for (const { port } of this.#attached.values()) await api.attach(port);
      },
    });
  }

  attach(port: GroupPort, onNames: Attachment['onNames']): void {
    this.#attached.set(port.service, { port, onNames });
    onNames(this.#members.get(port.group) ?? []);
    if (this.#isStarted) this.thread.tell((api) => api.attach(port));
    else this.#start();
  }

  detach(service: string): void {
    if (this.#attached.delete(service)) this.thread.tell((api) => api.detach(service));
  }

  setMembers(group: string, members: readonly GroupMember[]): void {
    if (isDeepStrictEqual(members, this.#members.get(group) ?? [])) return;
    if (members.length === 0) this.#members.delete(group);
    else this.#members.set(group, members);
    for (const { port, onNames } of this.#attached.values()) if (port.group === group) onNames(members);
  }

  async stop(): Promise<void> {
    await this.thread.stop();
  }

  #start(): void {
    this.#isStarted = true;
    this.thread.start().catch((error: unknown) => {
      this.#isStarted = false;
      this.#report('error', `services of a group do not reach each other: ${errorText(error)}`);
    });
  }

  #onEvent(event: NetworkEvent): void {
    const { service } = event;
    switch (event.type) {
      case 'dropped': {
        const level = event.cause === 'full' ? 'info' : 'warn';
        this.#report(level, `${service}: ${event.frames} frames ${DROP_MESSAGES[event.cause]}`, { service });
        break;
      }
      case 'expelled':
        this.#report('error', `${service}: cut off from its group: ${event.reason}`, { service });
        break;
      case 'unreachable':
        this.#report('warn', `${service}: not connected with its group yet: ${event.error}`, { service });
    }
  }
}
