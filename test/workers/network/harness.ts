/** The VMs of groups as the network worker sees them: unix sockets that give and take frames behind their lengths. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type GroupPort, memberAddress, memberMac, type NetworkEvent } from '../../../src/protocol/network.ts';
import { Network } from '../../../workers/network/network.ts';
import { eventually } from '../../helpers/eventually.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { UnixServer } from '../../helpers/unix-server.ts';

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const bytesOf = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex');

/** What a frame may be made of; by default IPv4 from the first member to the second. */
export interface FrameParts {
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

/** An ARP request of `from`, RFC 826. */
export function arpOf(from: number, senderIp = memberAddress(from), senderMac = memberMac(from)): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]);
  const body = [head, bytesOf(senderMac), Buffer.from(senderIp.split('.').map(Number)), Buffer.alloc(10)];
  return framed(Buffer.concat([bytesOf(BROADCAST), bytesOf(memberMac(from)), Buffer.from([8, 6]), ...body]));
}

export function framed(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

/** One VM. */
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

  /** A VM that listens and is attached. */
  async add(service: string, index: number, group = 'shop'): Promise<FakeVm> {
    const vm = await this.listen(service, index, group);
    this.network.attach(vm);
    await vm.server.connection(0);
    return vm;
  }

  /** A VM that listens. */
  async listen(service: string, index: number, group = 'shop'): Promise<FakeVm> {
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
      server,
      send: async (...bytes) => void (await server.connection(Math.max(latest(), 0))).write(Buffer.concat(bytes)),
      received: async (...bytes) => {
        const wanted = Buffer.concat(bytes).toString('latin1');
        await eventually(`${wanted.length} bytes for ${service}`, () => server.text(latest()) === wanted);
      },
    };
  }
}
