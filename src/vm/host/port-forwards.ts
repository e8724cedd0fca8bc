/** Host ports are checked before a VM is started: QEMU's own message names neither the service nor a remedy. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import type { Port, Service } from '../../protocol/service.ts';
import { findPortOwner } from './port-owner.ts';

/** Binds the port for a moment, as nobody can who has to share it. Throws the system's error. */
async function tryPort({ protocol, host: port }: Port, host: string): Promise<void> {
  if (protocol === 'udp') {
    const socket = createSocket('udp4').bind({ address: host, port, exclusive: true });
    // Closed already, where binding failed.
    await once(socket, 'listening').finally(() => void socket.on('error', () => {}).close());
    return;
  }
  const server = createServer().listen({ host, port, exclusive: true });
  await once(server, 'listening').finally(() => server.close());
}

/** Why a port cannot be had, and what to do. */
function explain(error: unknown, port: Port, address: string, runDir: string): string {
  if (errorCode(error) === 'EACCES') {
    return 'this user may not open ports that low; choose one above 1023, or run the daemon as root';
  }
  if (errorCode(error) !== 'EADDRINUSE') return errorText(error);
  const owner = findPortOwner(port, address, runDir);
  if (!owner) return 'another program has it; choose another host port';
  const place = `${owner.address.includes(':') ? `[${owner.address}]` : owner.address}:${port.host}`;
  if (owner.service !== null) {
    return `service ${owner.service} has ${place}; stop ${owner.service} or choose another host port`;
  }
  const who = owner.process ? `${owner.process.name} (process ${owner.process.pid})` : 'a program of another user';
  return `${who} has ${place}; stop it or choose another host port`;
}

/**
 * @param runDir folder of the home's runtime folders
 * @throws MonocoreError `StartFailed` naming the first port that cannot be bound on `address`, and who has it
 */
export async function checkPortsAreFree(service: Service, address: string, runDir: string): Promise<void> {
  for (const port of service.ports) {
    try {
      await tryPort(port, address);
    } catch (cause) {
      const reason = explain(cause, port, address, runDir);
      const message = `port ${address}:${port.host} (${port.protocol}) of service ${service.name} cannot be opened: ${reason}`;
      throw new MonocoreError('StartFailed', message, { cause });
    }
  }
}
