/** Who has a port of the host: from /proc/net and /proc/<pid>/fd, see proc(5). Main thread. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Port } from '../../protocol/service.ts';

/** A socket that keeps others from a port. */
export interface PortOwner {
  /** Address that it is bound to; `0.0.0.0` and `::` are all of the host's. */
  readonly address: string;
  /** Null where this user may not see whose it is. */
  readonly process: { readonly pid: number; readonly name: string } | null;
  /** The service of this home that the process belongs to, or null. */
  readonly service: string | null;
}

interface BoundSocket {
  readonly address: string;
  readonly inode: string;
}

/** TCP_LISTEN of the kernel's net/tcp_states.h, as /proc/net/tcp prints it. UDP has no such state. */
const LISTENING = '0A';

/** What the kernel prints for 127.0.0.2 is the number as it stands in memory, so in the order of the processor. */
function hexOf(address: string): string {
  const bytes = new Uint8Array(address.split('.').map(Number));
  return new Uint32Array(bytes.buffer)[0]!.toString(16).toUpperCase().padStart(8, '0');
}

/** The addresses that a socket may be bound to which has `address`, as the kernel prints them. */
function candidates(address: string): ReadonlyMap<string, string> {
  // The words of an IPv6 address are printed one by one, so that of an IPv4 address mapped into one is its own.
  const mapped = `0000000000000000${hexOf('0.0.255.255')}`;
  return new Map([
    [hexOf(address), address],
    [hexOf('0.0.0.0'), '0.0.0.0'],
    ['0'.repeat(32), '::'],
    [`${mapped}${hexOf(address)}`, `::ffff:${address}`],
    [`${mapped}${hexOf('0.0.0.0')}`, '::ffff:0.0.0.0'],
  ]);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // No such process any more, or a kernel without IPv6.
  }
}

function findSocket(protocol: Port['protocol'], address: string, port: number): BoundSocket | null {
  const wanted = candidates(address);
  const portHex = port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of [protocol, `${protocol}6`]) {
    for (const line of readIfThere(`/proc/net/${table}`).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [localHex = '', localPort] = local.split(':');
      const bound = wanted.get(localHex);
      if (bound === undefined || localPort !== portHex) continue;
      if (protocol === 'tcp' && state !== LISTENING) continue;
      return { address: bound, inode };
    }
  }
  return null;
}

/** The process that holds a socket; null when there is none that this user may look into. */
function findHolder(inode: string): number | null {
  const link = `socket:[${inode}]`;
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const fds = readdirSync(`/proc/${pid}/fd`);
      if (fds.some((fd) => isLink(`/proc/${pid}/fd/${fd}`, link))) return Number(pid);
    } catch {
      // Somebody else's, or ended meanwhile.
    }
  }
  return null;
}

function isLink(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    return false; // Closed meanwhile.
  }
}

/**
 * The service of a process: that in whose runtime folder the VM process has its sockets. What a plain process starts is
 * in the session of its shim, field 6 of `stat`, whose arguments name the folder.
 */
function serviceOf(pid: number, runDir: string): string | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
  for (const candidate of [pid, session]) {
    // QEMU's options have a comma of a path twice.
    const commandLine = readIfThere(`/proc/${candidate}/cmdline`).replaceAll(',,', ',');
    const start = commandLine.indexOf(`${runDir}/`);
    if (start !== -1) return /^[^/\0]*/.exec(commandLine.slice(start + runDir.length + 1))![0];
  }
  return null;
}

/**
 * Finds out who has a port.
 *
 * @param address IPv4 address that cannot be bound
 * @param runDir folder of the home's runtime folders
 * @returns null when nobody is found: it was freed meanwhile
 */
export function findPortOwner(
  { protocol, host }: Pick<Port, 'protocol' | 'host'>,
  address: string,
  runDir: string,
): PortOwner | null {
  const socket = findSocket(protocol, address, host);
  if (!socket) return null;
  const pid = findHolder(socket.inode);
  if (pid === null) return { address: socket.address, process: null, service: null };
  const name = readIfThere(`/proc/${pid}/comm`).trim();
  return { address: socket.address, process: { pid, name }, service: serviceOf(pid, runDir) };
}
