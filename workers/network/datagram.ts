/** UDP (RFC 768) over IPv4 (RFC 791) between the host and a VM, in Ethernet frames prefixed with their lengths. */
import { GATEWAY_INDEX } from '../../src/protocol/network.ts';
import {
  HEADER_BYTES,
  isAddressOf,
  MAX_FRAME_BYTES,
  PAYLOAD,
  TYPE,
  TYPE_IPV4,
  writeAddress,
  writeHead,
} from './frame.ts';

const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;

/** Maximum payload of an unfragmented datagram. */
export const MAX_DATAGRAM_BYTES = HEADER_BYTES + MAX_FRAME_BYTES - PAYLOAD - IP_HEADER_BYTES - UDP_HEADER_BYTES;

const IP_BYTES = PAYLOAD + 2;
const FRAGMENT = PAYLOAD + 6;
const TIME_TO_LIVE = PAYLOAD + 8;
const PROTOCOL = PAYLOAD + 9;
const IP_CHECKSUM = PAYLOAD + 10;
const SOURCE_ADDRESS = PAYLOAD + 12;
const DESTINATION_ADDRESS = PAYLOAD + 16;

const VERSION_AND_LENGTH = 0x4500;
const DO_NOT_FRAGMENT = 0x4000;
/** Mask for the flag "more fragments" and the fragment offset. */
const FRAGMENT_MASK = 0x3fff;
const HOPS = 64;
const PROTOCOL_UDP = 17;

interface Datagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** View into the frame. */
  readonly payload: Buffer;
}

/** Ones' complement sum of 16-bit words, RFC 1071; 0xffff if they include a correct checksum. */
function sumWords(bytes: Buffer, start: number, end: number, initial = 0): number {
  let sum = initial;
  for (let at = start; at + 1 < end; at += 2) sum += bytes.readUInt16BE(at);
  if ((end - start) % 2 === 1) sum += bytes[end - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** Sum of a UDP header, its payload and its IPv4 pseudo header. */
function sumDatagram(framed: Buffer, start: number, bytes: number): number {
  const pseudoHeader = sumWords(framed, SOURCE_ADDRESS, SOURCE_ADDRESS + 8, PROTOCOL_UDP + bytes);
  return sumWords(framed, start, start + bytes, pseudoHeader);
}

/** Parses the datagram to the host in a frame; null if there is none, or if it is damaged or a fragment. */
export function readDatagram(framed: Buffer): Datagram | null {
  if (framed.readUInt16BE(TYPE) !== TYPE_IPV4 || framed[PAYLOAD]! >> 4 !== 4) return null;
  const headerBytes = (framed[PAYLOAD]! & 0xf) * 4;
  const [start, end] = [PAYLOAD + headerBytes, PAYLOAD + framed.readUInt16BE(IP_BYTES)];
  // The packet may be followed by padding.
  if (headerBytes < IP_HEADER_BYTES || start + UDP_HEADER_BYTES > end || end > framed.length) return null;
  if (sumWords(framed, PAYLOAD, start) !== 0xffff) return null;
  if ((framed.readUInt16BE(FRAGMENT) & FRAGMENT_MASK) !== 0 || framed[PROTOCOL] !== PROTOCOL_UDP) return null;
  if (!isAddressOf(framed, DESTINATION_ADDRESS, GATEWAY_INDEX)) return null;
  const bytes = framed.readUInt16BE(start + 4);
  if (bytes < UDP_HEADER_BYTES || start + bytes > end) return null;
  const hasChecksum = framed.readUInt16BE(start + 6) !== 0;
  if (hasChecksum && sumDatagram(framed, start, bytes) !== 0xffff) return null;
  return {
    sourcePort: framed.readUInt16BE(start),
    destinationPort: framed.readUInt16BE(start + 2),
    payload: framed.subarray(start + UDP_HEADER_BYTES, start + bytes),
  };
}

/** Writes a datagram of at most {@link MAX_DATAGRAM_BYTES} as a frame for the VM with that index. */
export function writeDatagram(into: Buffer, index: number, datagram: Datagram): Buffer {
  const { sourcePort, destinationPort, payload } = datagram;
  const udpBytes = UDP_HEADER_BYTES + payload.length;
  const framed = writeHead(into, GATEWAY_INDEX, index, TYPE_IPV4, IP_HEADER_BYTES + udpBytes);
  framed.writeUInt16BE(VERSION_AND_LENGTH, PAYLOAD);
  framed.writeUInt16BE(IP_HEADER_BYTES + udpBytes, IP_BYTES);
  // The identification of an unfragmented packet has no meaning, RFC 6864.
  framed.writeUInt32BE(DO_NOT_FRAGMENT, FRAGMENT - 2);
  framed[TIME_TO_LIVE] = HOPS;
  framed[PROTOCOL] = PROTOCOL_UDP;
  framed.writeUInt16BE(0, IP_CHECKSUM);
  writeAddress(framed, SOURCE_ADDRESS, GATEWAY_INDEX);
  writeAddress(framed, DESTINATION_ADDRESS, index);
  const start = PAYLOAD + IP_HEADER_BYTES;
  framed.writeUInt16BE(0xffff - sumWords(framed, PAYLOAD, start), IP_CHECKSUM);
  framed.writeUInt16BE(sourcePort, start);
  framed.writeUInt16BE(destinationPort, start + 2);
  framed.writeUInt16BE(udpBytes, start + 4);
  framed.writeUInt16BE(0, start + 6);
  payload.copy(framed, start + UDP_HEADER_BYTES);
  // Zero would mean that there is no checksum.
  framed.writeUInt16BE(0xffff - sumDatagram(framed, start, udpBytes) || 0xffff, start + 6);
  return framed;
}
