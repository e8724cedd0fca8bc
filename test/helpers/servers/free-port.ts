/** Ports that nobody has. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Port } from '../../../src/protocol/service.ts';

/** A port that was free a moment ago: the system gives each of them to one after the other. */
export async function findFreePort(protocol: Port['protocol'], address: string): Promise<number> {
  const server = protocol === 'tcp' ? createServer().listen(0, address) : createSocket('udp4').bind(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
