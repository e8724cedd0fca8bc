/**
 * Ethernet frames in QEMU's `-netdev stream`: each follows its length, four bytes in network order, see
 * net_stream_receive() in QEMU's net/stream.c. Offsets below include the length.
 */
import { GROUP_PREFIX } from '../../src/protocol/network.ts';

export const HEADER_BYTES = 4;
/** A frame with 1500 bytes of payload, IEEE 802.3, without the checksum, which QEMU omits. */
export const MAX_FRAME_BYTES = 1514;
/** QEMU never sends more: NET_BUFSIZE in its net/net.h. */
export const MAX_QEMU_FRAME_BYTES = 4096 + 65_536;

const ETHERNET_HEADER_BYTES = 14;
const DESTINATION = HEADER_BYTES;
const SOURCE = HEADER_BYTES + 6;
export const TYPE = HEADER_BYTES + 12;
export const PAYLOAD = HEADER_BYTES + ETHERNET_HEADER_BYTES;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;

/** Bytes 0 to 3 of a member's address, see `memberMac`. */
const MAC_PREFIX = 0x02_00_00_00 + (GROUP_PREFIX[0] << 8) + GROUP_PREFIX[1];
/** The first two bytes of its IPv4 address. */
const IP_PREFIX = (GROUP_PREFIX[0] << 8) + GROUP_PREFIX[1];

function isMacOf(framed: Buffer, at: number, index: number): boolean {
  return framed.readUInt32BE(at) === MAC_PREFIX && framed.readUInt16BE(at + 4) === index;
}

export function writeMac(framed: Buffer, at: number, index: number): void {
  framed.writeUInt32BE(MAC_PREFIX, at);
  framed.writeUInt16BE(index, at + 4);
}

export function writeAddress(framed: Buffer, at: number, index: number): void {
  framed.writeUInt16BE(IP_PREFIX, at);
  framed.writeUInt16BE(index, at + 2);
}

/** Writes length and Ethernet's header. Returns the whole frame, behind its length, as a part of the buffer. */
export function writeHead(into: Buffer, from: number, to: number, type: number, payloadBytes: number): Buffer {
  into.writeUInt32BE(ETHERNET_HEADER_BYTES + payloadBytes, 0);
  writeMac(into, DESTINATION, to);
  writeMac(into, SOURCE, from);
  into.writeUInt16BE(type, TYPE);
  return into.subarray(0, PAYLOAD + payloadBytes);
}

export function isAddressOf(framed: Buffer, at: number, index: number): boolean {
  return framed.readUInt16BE(at) === IP_PREFIX && framed.readUInt16BE(at + 2) === index;
}

/**
 * True for a frame with its sender's own addresses, so that no member impersonates another: the source on Ethernet, and in
 * IPv4 (RFC 791) or ARP (RFC 826); other protocols are rejected. A member that probes by ARP whether an address is free has
 * none yet, RFC 5227.
 */
export function isGenuine(framed: Buffer, index: number): boolean {
  if (framed.length < PAYLOAD + 20 || !isMacOf(framed, SOURCE, index)) return false;
  switch (framed.readUInt16BE(TYPE)) {
    case TYPE_IPV4:
      return isAddressOf(framed, PAYLOAD + 12, index);
    case TYPE_ARP: {
      const sender = PAYLOAD + 14;
      const isOwn = isAddressOf(framed, sender, index) || framed.readUInt32BE(sender) === 0;
      return isOwn && isMacOf(framed, PAYLOAD + 8, index);
    }
    default:
      return false;
  }
}

/** True for broadcast and multicast: the lowest bit of the first byte. */
export function isForAll(framed: Buffer): boolean {
  return (framed[DESTINATION]! & 1) === 1;
}

/** Index of the member to which a frame is addressed; null for none. */
export function destinationOf(framed: Buffer): number | null {
  return framed.readUInt32BE(DESTINATION) === MAC_PREFIX ? framed.readUInt16BE(DESTINATION + 4) : null;
}
