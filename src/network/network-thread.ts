/** Main thread's side of the network worker; keeps the members of groups. */
import { isDeepStrictEqual } from 'node:util';
import { errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';
import type { ClosedPort, DropCause, GroupMember, GroupPort, NetworkApi, NetworkEvent } from '../protocol/network.ts';
import type { NetworkHandlers, NetworkSink } from '../supervisor/interfaces.ts';
import type { Remote } from '../threads/rpc.ts';
import { WorkerThread } from '../threads/worker-thread.ts';

/** Delay between dropped frames and the message in the daemon's log. */
const DROP_REPORT_MS = 10_000;

/** Causes of drops for which the guest is not responsible. */
const DROPS_OF_OTHERS: ReadonlySet<DropCause> = new Set(['full', 'unsent', 'too-long']);

const DROP_MESSAGES: Readonly<Record<DropCause, string>> = {
  full: 'were not delivered to it, because it reads too slowly',
  foreign: 'that it sent were dropped: neither IPv4 nor ARP from its own address',
  flood: 'that it sent to all of its group were dropped: too many at once',
  oversize: 'that it sent were dropped: larger than 1514 bytes, so its MTU is above 1500',
  stray: 'that it sent to the host were dropped: they were not complete answers to clients of its UDP ports',
  unsent: 'that it sent to clients of its UDP ports were dropped: the host could not send them',
  'too-long': 'for its UDP ports were dropped: they do not fit into its MTU of 1500',
};

interface Attachment {
  readonly port: GroupPort;
  readonly handlers: NetworkHandlers;
  /** UDP ports of the service that could not be opened, for people. */
  readonly notes: readonly string[];
}

/** Network worker; starts with the first VM that is in a group or has UDP ports. Main thread. */
export class NetworkThread implements NetworkSink {
  readonly thread: WorkerThread<NetworkApi, NetworkEvent>;
  readonly #report: Report;
  readonly #attached = new Map<string, Attachment>();
  /** Members by group. */
  readonly #members = new Map<string, readonly GroupMember[]>();
  #isStarted = false;
  /** Restarted thread that is being given its previous work, before other calls. */
  #restored: Remote<NetworkApi> | null = null;

  constructor(report: Report, dropReportMs: number = DROP_REPORT_MS) {
    this.#report = report;
    this.thread = new WorkerThread<NetworkApi, NetworkEvent>({
      entry: 'network',
      data: () => ({ data: { dropReportMs } }),
      deadlines: { defaultMs: 10_000 },
      onEvent: (event) => this.#onEvent(event),
      onDeath: (error) => report('error', `${error.message}; restarting it`),
      onReady: (api) => this.#restore(api),
    });
  }

  attach(port: GroupPort, handlers: NetworkHandlers): void {
    this.#attached.set(port.service, { port, handlers, notes: [] });
    if (port.group !== null) handlers.onNames(this.#members.get(port.group) ?? []);
    if (!this.#isStarted) this.#start();
    // The port may be detached again before the thread accepts calls.
    else this.thread.tell(async (api) => this.#attached.get(port.service)?.port === port && api.attach(port));
  }

  async detach(service: string): Promise<void> {
    if (!this.#attached.delete(service)) return;
    const restored = this.#restored;
    const call = restored ? restored.detach(service) : this.thread.ready().then((api) => api.detach(service));
    // A call fails if the thread ends, and its ports end with it.
    const done = call.catch(() => {});
    // A thread that died has released its ports, and its restart may take a while.
    if (restored || this.thread.status().state !== 'restarting') await done;
  }

  setMembers(group: string, members: readonly GroupMember[]): void {
    if (isDeepStrictEqual(members, this.#members.get(group) ?? [])) return;
    if (members.length === 0) this.#members.delete(group);
    else this.#members.set(group, members);
    for (const { port, handlers } of this.#attached.values()) if (port.group === group) handlers.onNames(members);
  }

  async #restore(api: Remote<NetworkApi>): Promise<void> {
    this.#restored = api;
    try {
      for (const { port } of this.#attached.values()) await api.attach(port);
    } finally {
      this.#restored = null;
    }
  }

  #start(): void {
    this.#isStarted = true;
    this.thread.start().catch((error: unknown) => {
      this.#isStarted = false;
      const text = errorText(error);
      this.#report('error', `services of a group cannot reach each other, and UDP ports are closed: ${text}`);
    });
  }

  #onEvent(event: NetworkEvent): void {
    const { service } = event;
    switch (event.type) {
      case 'dropped': {
        const level = DROPS_OF_OTHERS.has(event.cause) ? 'info' : 'warn';
        this.#report(level, `${service}: ${event.frames} frames ${DROP_MESSAGES[event.cause]}`, { service });
        break;
      }
      case 'expelled':
        this.#report('error', `${service}: cut off from its network: ${event.reason}`, { service });
        break;
      case 'unreachable':
        this.#report('warn', `${service}: not connected with its network yet: ${event.error}`, { service });
        break;
      case 'udp-ports':
        this.#onPorts(service, event.closed);
    }
  }

  #onPorts(service: string, closed: readonly ClosedPort[]): void {
    const notes = closed.map(
      ({ address, host, error }) => `port ${address}:${host} (udp) cannot be opened: ${error}; trying again`,
    );
    const attachment = this.#attached.get(service);
    if (!attachment || isDeepStrictEqual(attachment.notes, notes)) return;
    this.#attached.set(service, { ...attachment, notes });
    for (const note of notes) this.#report('error', `${service}: ${note}`, { service });
    if (notes.length === 0) this.#report('info', `${service}: its UDP ports are open`, { service });
    attachment.handlers.onNotes(notes);
  }
}
