/** Checks host ports before a launch, because QEMU's own message names neither the service nor a remedy. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { listDescriptors, listPids, listSockets, readProcessFile } from '../../lib/proc.ts';
import { ANY_ADDRESS } from '../../protocol/input.ts';
import type { ForwardedPort } from '../../protocol/service.ts';
import type { HomePaths } from '../../state/paths.ts';
import { serviceOfProcess } from './process-record.ts';

/** Binds the port exclusively for a moment. Throws the system error. */
async function tryPort({ address: host, protocol, host: port }: ForwardedPort): Promise<void> {
  if (protocol === 'udp') {
    const socket = createSocket('udp4').bind({ address: host, port, exclusive: true });
    // If binding failed, it is already closed.
    await once(socket, 'listening').finally(() => void socket.on('error', () => {}).close());
    return;
  }
  const server = createServer().listen({ host, port, exclusive: true });
  await once(server, 'listening').finally(() => server.close());
}

/** Reason why a port cannot be opened, with a remedy. */
function explain(error: unknown, port: ForwardedPort, home: HomePaths): string {
  if (errorCode(error) === 'EACCES') {
    return 'this user may not open ports that low; choose one above 1023, or run the daemon as root';
  }
  if (errorCode(error) === 'EADDRNOTAVAIL') return 'this host does not have the address; see `ip address`';
  if (errorCode(error) !== 'EADDRINUSE') return errorText(error);
  const socket = findSocket(port);
  // The port has been freed meanwhile.
  if (!socket) return 'another program uses it; choose another host port';
  const place = `${socket.address.includes(':') ? `[${socket.address}]` : socket.address}:${port.host}`;
  const link = `socket:[${socket.inode}]`;
  const pid = listPids().find((candidate) => listDescriptors(candidate).some(({ target }) => target === link));
  if (pid === undefined) return `a program of another user has ${place}; stop it or choose another host port`;
  const service = serviceOfProcess(pid, home);
  if (service !== null) return `service ${service} has ${place}; stop ${service} or choose another host port`;
  const name = readProcessFile(pid, 'comm')?.trim() ?? '';
  return `${name} (process ${pid}) has ${place}; stop it or choose another host port`;
}

/**
 * Checks that the ports of a service are free.
 *
 * @throws MonocoreError `StartFailed` naming the first port that cannot be bound, and the program that uses it
 */
export async function checkPortsAreFree(
  service: string,
  ports: readonly ForwardedPort[],
  home: HomePaths,
): Promise<void> {
  for (const port of ports) {
    try {
      await tryPort(port);
    } catch (cause) {
      const reason = explain(cause, port, home);
      const message = `port ${port.address}:${port.host} (${port.protocol}) of service ${service} cannot be opened: ${reason}`;
      throw new MonocoreError('StartFailed', message, { cause });
    }
  }
}

/** IPv4 address in the kernel's notation: the number as stored in memory, in the byte order of the processor. */
function hexOf(address: string): string {
  const bytes = new Uint8Array(address.split('.').map(Number));
  return new Uint32Array(bytes.buffer)[0]!.toString(16).toUpperCase().padStart(8, '0');
}

/** Prefix of an IPv4-mapped IPv6 address: each word is printed separately, so the IPv4 address keeps its notation. */
const MAPPED = `0000000000000000${hexOf('0.0.255.255')}`;

/** Converts the kernel's notation of a socket's address for people; null for an address that only IPv6 has. */
function readAddress(printed: string): string | null {
  if (printed === '0'.repeat(32)) return '::';
  const prefix = printed.startsWith(MAPPED) ? '::ffff:' : '';
  const word = printed.slice(prefix === '' ? 0 : MAPPED.length);
  if (word.length !== 8) return null;
  return prefix + new Uint8Array(new Uint32Array([Number.parseInt(word, 16)]).buffer).join('.');
}

/** True if a socket bound to `held` prevents others from binding `address`. */
function isOccupied(address: string, held: string): boolean {
  const plain = held.replace('::ffff:', '');
  return plain === '::' || plain === ANY_ADDRESS || plain === address || address === ANY_ADDRESS;
}

/** Socket that keeps others from a port, with the address that it is bound to itself. */
function findSocket({ address, protocol, host: port }: ForwardedPort) {
  const sockets = ([protocol, `${protocol}6`] as const).flatMap((table) => listSockets(table));
  // UDP sockets have no listening state.
  const found = sockets
    .filter((socket) => socket.port === port && (protocol === 'udp' || socket.isListening))
    .map(({ address: printed, inode }) => ({ address: readAddress(printed), inode }))
    .find(({ address: held }) => held !== null && isOccupied(address, held));
  return found && { address: found.address!, inode: found.inode };
}
