/** Represents the host in the network of one VM: passes datagrams to the VM's UDP ports, and its answers back. */
import { type ClosedPort, type DropCause, GATEWAY_INDEX, type GroupPort } from '../../src/protocol/network.ts';
import { Clients } from './clients.ts';
import { MAX_DATAGRAM_BYTES, readDatagram, writeDatagram } from './datagram.ts';
import {
  HEADER_BYTES,
  isAddressOf,
  MAX_FRAME_BYTES,
  PAYLOAD,
  TYPE,
  TYPE_ARP,
  writeAddress,
  writeHead,
  writeMac,
} from './frame.ts';
import { HostPort } from './host-port.ts';

interface GatewayHandlers {
  /** Sends a frame to the VM; the frame is valid only during the call. */
  readonly send: (framed: Buffer) => void;
  readonly drop: (cause: DropCause) => void;
  /** See the event `udp-ports`. */
  readonly onPorts: (closed: readonly ClosedPort[]) => void;
}

/**
 * Gateway of one VM. It knows only the clients of that VM, so other members of the group cannot reach them. It forwards
 * only answers from a forwarded port to clients that have sent something to it.
 */
export class Gateway {
  readonly #index: number;
  readonly #handlers: GatewayHandlers;
  readonly #clients = new Clients<HostPort>();
  readonly #ports: readonly HostPort[];
  readonly #frame = Buffer.alloc(HEADER_BYTES + MAX_FRAME_BYTES);

  constructor({ index, udp }: GroupPort, handlers: GatewayHandlers) {
    this.#index = index;
    this.#handlers = handlers;
    this.#ports = udp.map((forward, id) => {
      const port: HostPort = new HostPort(id, forward, {
        onDatagram: (payload, address, from) => this.#onDatagram(port, payload, address, from),
        onState: () => this.#onState(),
        onUnsent: () => handlers.drop('unsent'),
      });
      return port;
    });
  }

  /** Handles a frame from the VM to the host. */
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

  /** Answers an ARP request for the host's address if the VM has UDP ports; returns true if it did. */
  answerArp(framed: Buffer): boolean {
    if (this.#ports.length === 0 || !asksForGateway(framed)) return false;
    this.#handlers.send(writeArpReply(this.#frame, this.#index, framed));
    return true;
  }

  /** Closes the gateway; its ports are free on return. */
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

  #onState(): void {
    if (this.#ports.some(({ error }) => error === undefined)) return;
    this.#handlers.onPorts(this.#ports.flatMap(({ forward, error }) => (error ? [{ ...forward, error }] : [])));
  }
}

// ARP, RFC 826, with which a guest finds the host in its network.

/** Hardware and protocol types: Ethernet and IPv4, with addresses of 6 and 4 bytes. */
const KIND = Buffer.from([0, 1, 8, 0, 6, 4]);
const REQUEST = 1;
const REPLY = 2;
const OPERATION = PAYLOAD + 6;
const SENDER_MAC = PAYLOAD + 8;
const SENDER_ADDRESS = PAYLOAD + 14;
const TARGET_MAC = PAYLOAD + 18;
const TARGET_ADDRESS = PAYLOAD + 24;
const ARP_BYTES = 28;

function asksForGateway(framed: Buffer): boolean {
  return (
    framed.length >= PAYLOAD + ARP_BYTES &&
    framed.readUInt16BE(TYPE) === TYPE_ARP &&
    KIND.equals(framed.subarray(PAYLOAD, OPERATION)) &&
    framed.readUInt16BE(OPERATION) === REQUEST &&
    isAddressOf(framed, TARGET_ADDRESS, GATEWAY_INDEX)
  );
}

/** Writes the reply. @param into buffer for the frame @param index of the member that sent the request */
function writeArpReply(into: Buffer, index: number, request: Buffer): Buffer {
  const framed = writeHead(into, GATEWAY_INDEX, index, TYPE_ARP, ARP_BYTES);
  KIND.copy(framed, PAYLOAD);
  framed.writeUInt16BE(REPLY, OPERATION);
  writeMac(framed, SENDER_MAC, GATEWAY_INDEX);
  writeAddress(framed, SENDER_ADDRESS, GATEWAY_INDEX);
  writeMac(framed, TARGET_MAC, index);
  // Copied from the request, because a member that checks whether its address is free has none yet.
  request.copy(framed, TARGET_ADDRESS, SENDER_ADDRESS, SENDER_ADDRESS + 4);
  return framed;
}
