/** The VMs of groups as the network worker sees them: unix sockets that give and take frames behind their lengths. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type DropCause,
  GATEWAY_INDEX,
  type GroupPort,
  memberAddress,
  memberMac,
  type NetworkEvent,
  type UdpForward,
} from '../../../src/protocol/network.ts';
import { Network } from '../../../workers/network/network.ts';
import { eventually } from '../eventually.ts';
import { UnixServer } from '../servers/unix-server.ts';
import { makeTempDir } from '../temp.ts';

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const bytesOf = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex');

/** Fields of a frame; by default IPv4 from the first member to the second. */
interface FrameParts {
  readonly from?: number;
  readonly to?: number | string;
  readonly sourceMac?: string;
  readonly sourceIp?: string;
  readonly type?: number;
  readonly text?: string;
}

/** A frame behind its length; IPv4 as far as the switch looks. */
export function frameOf(parts: FrameParts = {}): Buffer {
  const { from = 1, to = 2, type = 0x0800, text = 'payload' } = parts;
  const { sourceMac = memberMac(from), sourceIp = memberAddress(from) } = parts;
  const ip = Buffer.alloc(20);
  ip.set(sourceIp.split('.').map(Number), 12);
  const ethernet = Buffer.concat([
    bytesOf(typeof to === 'number' ? memberMac(to) : to),
    bytesOf(sourceMac),
    Buffer.from([type >> 8, type & 0xff]),
    ip,
    Buffer.from(text),
  ]);
  return framed(ethernet);
}

const addressOf = (ip: string) => Buffer.from(ip.split('.').map(Number));

/** An ARP request of `from`, RFC 826. */
export function arpOf(from: number, senderIp = memberAddress(from), senderMac = memberMac(from)): Buffer {
  return arpFrame({ from, senderIp, senderMac });
}

/** Any ARP: a request of the first member for nothing by default. */
export function arpFrame(parts: {
  readonly from: number;
  readonly to?: string;
  readonly operation?: number;
  readonly senderIp?: string;
  readonly senderMac?: string;
  readonly targetMac?: string;
  readonly targetIp?: string;
}): Buffer {
  const { from, to = BROADCAST, operation = 1, senderIp = memberAddress(from), senderMac = memberMac(from) } = parts;
  const { targetMac = '00:00:00:00:00:00', targetIp = '0.0.0.0' } = parts;
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  const body = [head, bytesOf(senderMac), addressOf(senderIp), bytesOf(targetMac), addressOf(targetIp)];
  return framed(Buffer.concat([bytesOf(to), bytesOf(memberMac(from)), Buffer.from([8, 6]), ...body]));
}

/** The checksum of RFC 1071, as its text has it. */
function checksum(...parts: Buffer[]): number {
  const bytes = Buffer.concat([...parts, Buffer.alloc(Buffer.concat(parts).length % 2)]);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes.readUInt16BE(at);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

/** Fields of a datagram's frame; by default one from the first member to the host. */
interface DatagramParts {
  readonly from?: number;
  readonly to?: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly text?: string;
  /** Address in the IPv4 header, else that of `to`. */
  readonly destinationIp?: string;
  /** Changes the IPv4 header before its checksum is made. */
  readonly alterIp?: (header: Buffer) => void;
  /** Changes the UDP header, its checksum included. */
  readonly alterUdp?: (header: Buffer) => void;
  /** Changes the whole frame. */
  readonly alter?: (frame: Buffer) => void;
  /** Identification, flags, offset; zero by default as a guest may have it. */
  readonly fragment?: number;
}

/** A whole frame with a datagram, built field by field as in RFC 791 and RFC 768. */
export function datagramOf(parts: DatagramParts): Buffer {
  const { from = 1, to = GATEWAY_INDEX, sourcePort, destinationPort, text = 'payload', fragment = 0 } = parts;
  const payload = Buffer.from(text);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(sourcePort, 0);
  udp.writeUInt16BE(destinationPort, 2);
  udp.writeUInt16BE(8 + payload.length, 4);
  const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, ...new Uint8Array(8)]);
  ip.writeUInt16BE(28 + payload.length, 2);
  ip.writeUInt32BE(fragment, 4);
  ip.set(addressOf(memberAddress(from)), 12);
  ip.set(addressOf(parts.destinationIp ?? memberAddress(to)), 16);
  const pseudoHeader = Buffer.concat([ip.subarray(12), Buffer.from([0, 17]), udp.subarray(4, 6)]);
  udp.writeUInt16BE(checksum(pseudoHeader, udp, payload) || 0xffff, 6);
  parts.alterUdp?.(udp);
  parts.alterIp?.(ip);
  ip.writeUInt16BE(checksum(ip), 10);
  const macs = [bytesOf(memberMac(to)), bytesOf(memberMac(from))];
  const frame = framed(Buffer.concat([...macs, Buffer.from([8, 0]), ip, udp, payload]));
  parts.alter?.(frame);
  return frame;
}

export function framed(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

/** A VM. */
export interface FakeVm extends GroupPort {
  readonly server: UnixServer;
  /** Sends bytes, once it is connected. */
  send(...bytes: Buffer[]): Promise<void>;
  /** Waits until these bytes, and no others, have come over its latest connection. */
  received(...bytes: Buffer[]): Promise<void>;
}

/** Members of groups, and the switches between them. */
export class Testbed {
  readonly events: NetworkEvent[] = [];
  readonly network: Network;
  readonly #t: TestContext;
  readonly #dir: string;

  private constructor(t: TestContext, dir: string) {
    this.#t = t;
    this.#dir = dir;
    this.network = new Network(1, (event) => this.events.push(event));
  }

  static async open(t: TestContext): Promise<Testbed> {
    return new Testbed(t, await makeTempDir(t));
  }

  /** Number of frames dropped for that reason. */
  drops(service: string, cause: DropCause): number {
    return this.events.reduce((sum, event) => {
      const isMeant = event.type === 'dropped' && event.service === service && event.cause === cause;
      return sum + (isMeant ? event.frames : 0);
    }, 0);
  }

  /** A VM that listens and is attached. */
  async add(service: string, index: number, group: string | null = 'shop', udp: UdpForward[] = []): Promise<FakeVm> {
    const vm = await this.listen(service, index, group, udp);
    this.network.attach(vm);
    await vm.server.connection(0);
    return vm;
  }

  /** A VM that listens. */
  async listen(service: string, index: number, group: string | null = 'shop', udp: UdpForward[] = []): Promise<FakeVm> {
    const server = new UnixServer(join(this.#dir, service), 'latin1');
    await server.listen();
    this.#t.after(() => {
      this.network.detach(service);
      server.close();
    });
    const latest = () => server.connections.length - 1;
    return {
      service,
      index,
      group,
      socketPath: server.path,
      udp,
      server,
      send: async (...bytes) => void (await server.connection(Math.max(latest(), 0))).write(Buffer.concat(bytes)),
      received: async (...bytes) => {
        const wanted = Buffer.concat(bytes).toString('latin1');
        await eventually(`${wanted.length} bytes for ${service}`, () => server.text(latest()) === wanted);
      },
    };
  }
}
