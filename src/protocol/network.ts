/**
 * The network within a group: what the main thread asks of the network worker, what that tells, and where a VM is to be
 * found. Each group has a network of its own, so two groups use the same addresses and never meet. A VM without a group
 * that has UDP ports has one with nobody but the host.
 */

/** The host in each of these networks, where the datagrams for UDP ports come from: the last address of 10.83.0.0/16. */
export const GATEWAY_INDEX = 0xfffe;

/** Most members of a group: all addresses but the network's own, the host's and the broadcast address. */
export const MAX_GROUP_MEMBERS = GATEWAY_INDEX - 1;

/** Place of a VM that has its network for itself. */
export const LONE_INDEX = 1;

/** Mask of the addresses of members. QEMU's user network, 10.0.2.0/24, is none of them. */
export const GROUP_NETMASK = '255.255.0.0';

/** What addresses of a group begin with: private, see RFC 1918. */
export const GROUP_PREFIX = [10, 83] as const;

/** IPv4 address of a member. @param index from 1 to {@link MAX_GROUP_MEMBERS}, or {@link GATEWAY_INDEX} */
export function memberAddress(index: number): string {
  return [...GROUP_PREFIX, index >> 8, index & 0xff].join('.');
}

/**
 * Ethernet address of a member: its IPv4 address behind two bytes, of which the first says that the address is
 * administered locally, IEEE 802 section 8.4.
 *
 * @param index as in {@link memberAddress}
 */
export function memberMac(index: number): string {
  const bytes = [0x02, 0x00, ...GROUP_PREFIX, index >> 8, index & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A name that guests of a group know. */
export interface GroupMember {
  /** Of the service. */
  readonly name: string;
  /** IPv4 address in the group's network. */
  readonly address: string;
}

/** A UDP port of the host whose datagrams go to a port of the guest, and the answers back. */
export interface UdpForward {
  /** IPv4 address of the host. */
  readonly address: string;
  readonly host: number;
  readonly guest: number;
}

/** A VM's place in the network of its group. */
export interface GroupPort {
  readonly service: string;
  /** Null: none, so it meets no other VM. */
  readonly group: string | null;
  /** Decides on its addresses, see {@link memberAddress} and {@link memberMac}: it may use no others. */
  readonly index: number;
  /** Absolute path of the unix socket where its QEMU listens, `-netdev stream`; it may not exist yet. */
  readonly socketPath: string;
  /** UDP ports that are opened for it while it is attached. */
  readonly udp: readonly UdpForward[];
}

/** A UDP port that could not be opened. */
export interface ClosedPort extends UdpForward {
  /** Why, for people. */
  readonly error: string;
}

/**
 * Why frames did not arrive.
 *
 * - `full`: the VM read too slowly what was sent to it
 * - `foreign`: the VM sent them from an address that is not its own, or they were neither IPv4 nor ARP
 * - `flood`: the VM sent too many to everybody
 * - `oversize`: the VM sent them larger than Ethernet has them
 * - `stray`: the VM sent them to the host, and they were no whole answer to a client of its UDP ports
 * - `unsent`: they were such answers, but the host did not take them
 * - `too-long`: they were sent to its UDP ports, and do not fit into a frame
 */
export type DropCause = 'full' | 'foreign' | 'flood' | 'oversize' | 'stray' | 'unsent' | 'too-long';

/** Messages of the network worker to the main thread. */
export type NetworkEvent =
  /** Frames since it was said last; every 10 s at most. */
  | { readonly type: 'dropped'; readonly service: string; readonly cause: DropCause; readonly frames: number }
  /** It was disconnected for good: what came from its QEMU was no frame at all. */
  | { readonly type: 'expelled'; readonly service: string; readonly reason: string }
  /** It could not be connected for a while; that is tried on. */
  | { readonly type: 'unreachable'; readonly service: string; readonly error: string }
  /**
   * Which of its UDP ports are closed, though that is tried on: once when each was tried, and at each change. Only of
   * those that have any.
   */
  | { readonly type: 'udp-ports'; readonly service: string; readonly closed: readonly ClosedPort[] };

/** What the network worker is started with. */
export interface NetworkBoot {
  /** Time from a drop to the message that tells of it and of those since; shorter in tests. */
  readonly dropReportMs: number;
}

/** Commands of the main thread. Exposed with comlink. */
export interface NetworkApi {
  /**
   * Connects a VM with the others of its group, as soon as its socket is there, and again when the connection ends, and
   * opens its UDP ports, until {@link NetworkApi.detach}. A second call for the same place does nothing.
   */
  attach(port: GroupPort): Promise<void>;
  /** Disconnects it; its UDP ports are free when this is answered. Unknown names are ignored. */
  detach(service: string): Promise<void>;
}
