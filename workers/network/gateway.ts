/** The host in the network of one VM: what comes to the VM's UDP ports goes in through it, and the answers out. */
import type { ClosedPort, DropCause, GroupPort } from '../../src/protocol/network.ts';
import { asksForGateway, writeArpReply } from './arp.ts';
import { Clients } from './clients.ts';
import { MAX_DATAGRAM_BYTES, readDatagram, writeDatagram } from './datagram.ts';
import { HEADER_BYTES, MAX_FRAME_BYTES } from './frame.ts';
import { HostPort } from './host-port.ts';

/** What a gateway does to the rest. */
export interface GatewayHandlers {
  /** Takes a frame to the VM; only valid during the call. */
  readonly send: (framed: Buffer) => void;
  readonly drop: (cause: DropCause) => void;
  /** See the event `udp-ports`. */
  readonly onPorts: (closed: readonly ClosedPort[]) => void;
}

/**
 * Each VM has a gateway for itself, and each gateway knows only the clients of that VM: the others of its group cannot reach
 * its clients through it, nor it theirs. Nothing is passed on but answers of a forwarded port to who has asked it.
 */
export class Gateway {
  readonly #index: number;
  readonly #handlers: GatewayHandlers;
  readonly #clients = new Clients<HostPort>();
  readonly #ports: readonly HostPort[];
  /** Why each port is closed; null for one that is open, and nothing for one that was not tried yet. */
  readonly #states = new Map<number, string | null>();
  readonly #frame = Buffer.alloc(HEADER_BYTES + MAX_FRAME_BYTES);

  /** Opens the ports. */
  constructor({ index, udp }: GroupPort, handlers: GatewayHandlers) {
    this.#index = index;
    this.#handlers = handlers;
    this.#ports = udp.map((forward, id) => {
      const port: HostPort = new HostPort(id, forward, {
        onDatagram: (payload, address, from) => this.#onDatagram(port, payload, address, from),
        onState: (error) => this.#onState(id, error),
        onUnsent: () => handlers.drop('unsent'),
      });
      return port;
    });
  }

  /** Takes what the VM sent to the host. */
  receive(framed: Buffer): void {
    if (this.answerArp(framed)) return;
    const datagram = readDatagram(framed);
    const client = datagram && this.#clients.find(datagram.destinationPort);
    if (client && client.through.forward.guest === datagram.sourcePort) {
      client.through.send(datagram.payload, client.address, client.port);
    } else {
      this.#handlers.drop('stray');
    }
  }

  /** Says where the host is, if that is the question and there is a reason to know. Returns whether it was. */
  answerArp(framed: Buffer): boolean {
    if (this.#ports.length === 0 || !asksForGateway(framed)) return false;
    this.#handlers.send(writeArpReply(this.#frame, this.#index, framed));
    return true;
  }

  /** Frees the ports before it returns. */
  close(): void {
    for (const port of this.#ports) port.close();
  }

  #onDatagram(through: HostPort, payload: Buffer, address: string, port: number): void {
    if (payload.length > MAX_DATAGRAM_BYTES) {
      this.#handlers.drop('too-long');
      return;
    }
    const sourcePort = this.#clients.portOf({ through, address, port });
    const datagram = { sourcePort, destinationPort: through.forward.guest, payload };
    this.#handlers.send(writeDatagram(this.#frame, this.#index, datagram));
  }

  #onState(id: number, error: string | null): void {
    this.#states.set(id, error);
    if (this.#states.size < this.#ports.length) return;
    this.#handlers.onPorts(
      this.#ports.flatMap(({ id: each, forward }) => {
        const reason = this.#states.get(each) ?? null;
        return reason === null ? [] : [{ ...forward, error: reason }];
      }),
    );
  }
}
