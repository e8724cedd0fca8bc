/**
 * Protocol of the network worker: commands, events and addresses. Each group has a separate network, so two groups can
 * use the same addresses. A VM that has UDP ports but no group shares a network with the host alone.
 */

/** Index of the host, which is the source of datagrams sent to UDP ports: the last address of 10.83.0.0/16. */
export const GATEWAY_INDEX = 0xfffe;

/** Maximum number of members in a group: all addresses except those of the network, the host and broadcast. */
export const MAX_GROUP_MEMBERS = GATEWAY_INDEX - 1;

/** Index of a VM without a group. */
export const LONE_INDEX = 1;

/** Netmask of members' addresses. QEMU's user network, 10.0.2.0/24, does not overlap them. */
export const GROUP_NETMASK = '255.255.0.0';

/** First bytes of members' addresses, a private range, see RFC 1918. */
export const GROUP_PREFIX = [10, 83] as const;

/** IPv4 address of a member. @param index from 1 to {@link MAX_GROUP_MEMBERS}, or {@link GATEWAY_INDEX} */
export function memberAddress(index: number): string {
  return [...GROUP_PREFIX, index >> 8, index & 0xff].join('.');
}

/**
 * MAC address of a member: two bytes, the first of which marks it as locally administered (IEEE 802 section 8.4),
 * followed by its IPv4 address.
 */
export function memberMac(index: number): string {
  const bytes = [0x02, 0x00, ...GROUP_PREFIX, index >> 8, index & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Name that guests of a group can resolve. */
export interface GroupMember {
  readonly name: string;
  readonly address: string;
}

/** UDP port of the host that is forwarded to a port of the guest. */
export interface UdpForward {
  /** IPv4 address of the host. */
  readonly address: string;
  readonly host: number;
  readonly guest: number;
}

/** Connection of a VM to the network of its group. */
export interface GroupPort {
  readonly service: string;
  /** Null for a VM that cannot reach other VMs. */
  readonly group: string | null;
  /** Determines the only addresses that the VM may use, see {@link memberAddress} and {@link memberMac}. */
  readonly index: number;
  /** Absolute path of the Unix socket on which its QEMU listens, `-netdev stream`; it may not exist yet. */
  readonly socketPath: string;
  /** UDP ports that are open while the VM is attached. */
  readonly udp: readonly UdpForward[];
}

/** UDP port that could not be opened. */
export interface ClosedPort extends UdpForward {
  /** Reason, for people. */
  readonly error: string;
}

/**
 * Reasons for dropping frames.
 *
 * - `full`: the VM read frames sent to it too slowly
 * - `foreign`: the VM used an address that is not its own, or a protocol other than IPv4 and ARP
 * - `flood`: the VM sent too many broadcasts
 * - `oversize`: the VM sent frames larger than Ethernet allows
 * - `stray`: the VM sent frames to the host that were not complete answers to clients of its UDP ports
 * - `unsent`: the host could not send the VM's answers to such clients
 * - `too-long`: datagrams for its UDP ports did not fit into a frame
 */
export type DropCause = 'full' | 'foreign' | 'flood' | 'oversize' | 'stray' | 'unsent' | 'too-long';

/** Messages of the network worker to the main thread. */
export type NetworkEvent =
  /** Frames dropped since the last report, at most every 10 s. */
  | { readonly type: 'dropped'; readonly service: string; readonly cause: DropCause; readonly frames: number }
  /** The VM was disconnected permanently because its QEMU sent a malformed stream. */
  | { readonly type: 'expelled'; readonly service: string; readonly reason: string }
  /** The connection has been failing for a while; the worker keeps trying. */
  | { readonly type: 'unreachable'; readonly service: string; readonly error: string }
  /**
   * UDP ports that are closed: reported after the first attempt for each, and at each change. The worker keeps trying.
   */
  | { readonly type: 'udp-ports'; readonly service: string; readonly closed: readonly ClosedPort[] };

export interface NetworkBoot {
  /** Delay between the first dropped frame and the report on all drops since; shorter in tests. */
  readonly dropReportMs: number;
}

/** Commands of the main thread. Exposed with comlink. */
export interface NetworkApi {
  /**
   * Connects a VM to its group as soon as its socket exists, reconnects it when necessary, and opens its UDP ports,
   * until {@link NetworkApi.detach}. Repeating a call has no effect.
   */
  attach(port: GroupPort): Promise<void>;
  /** Disconnects a VM; its UDP ports are free when this resolves. Ignores unknown names. */
  detach(service: string): Promise<void>;
}
