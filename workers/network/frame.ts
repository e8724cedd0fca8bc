/**
 * Ethernet frames in QEMU's `-netdev stream`: each is prefixed with its length, four bytes in network byte order, see
 * net_stream_receive() in QEMU's net/stream.c. Offsets below include the length.
 */
import { GROUP_PREFIX } from '../../src/protocol/network.ts';

export const HEADER_BYTES = 4;
/** Size of a frame with 1500 bytes of payload, IEEE 802.3, without the checksum, which QEMU omits. */
export const MAX_FRAME_BYTES = 1514;
/** Maximum size that QEMU sends: NET_BUFSIZE in its net/net.h. */
export const MAX_QEMU_FRAME_BYTES = 4096 + 65_536;

const ETHERNET_HEADER_BYTES = 14;
const DESTINATION = HEADER_BYTES;
const SOURCE = HEADER_BYTES + 6;
export const TYPE = HEADER_BYTES + 12;
export const PAYLOAD = HEADER_BYTES + ETHERNET_HEADER_BYTES;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;

/** Bytes 0 to 3 of a member's MAC address, see `memberMac`. */
const MAC_PREFIX = 0x02_00_00_00 + (GROUP_PREFIX[0] << 8) + GROUP_PREFIX[1];
/** First two bytes of a member's IPv4 address. */
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

/**
 * Writes the length and the Ethernet header. Returns the whole frame, including its length, as a view into the buffer.
 */
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
 * True for a frame that carries the addresses of its sender, so that no member can impersonate another: the Ethernet
 * source, and in IPv4 (RFC 791) or ARP (RFC 826) the sender address; other protocols are rejected. A member that uses
 * ARP to check whether an address is free has none yet, RFC 5227.
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

/** True for broadcast and multicast: the lowest bit of the first byte is set. */
export function isForAll(framed: Buffer): boolean {
  return (framed[DESTINATION]! & 1) === 1;
}

/** Index of the member to which a frame is addressed; null for none. */
export function destinationOf(framed: Buffer): number | null {
  return framed.readUInt32BE(DESTINATION) === MAC_PREFIX ? framed.readUInt16BE(DESTINATION + 4) : null;
}

export interface FrameHandlers {
  /** Receives a frame with its length; valid only during the call. */
  readonly onFrame: (framed: Buffer) => void;
  /** Called for a frame that is too large and was skipped. */
  readonly onOversize: () => void;
}

/** Splits QEMU's stream into frames. Buffers at most one incomplete frame. */
export class FrameReader {
  readonly #handlers: FrameHandlers;
  readonly #pending = Buffer.allocUnsafe(HEADER_BYTES + MAX_FRAME_BYTES);
  #pendingBytes = 0;
  #skippedBytes = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Handles the next bytes. @throws RangeError for an impossible length, after which the stream cannot be parsed */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skippedBytes > 0) {
        const skipped = Math.min(this.#skippedBytes, chunk.length - at);
        this.#skippedBytes -= skipped;
        at += skipped;
      } else {
        at += this.#take(chunk, at);
      }
    }
  }

  /** Handles bytes of one frame. Returns their number. */
  #take(chunk: Buffer, at: number): number {
    const available = chunk.length - at;
    if (this.#pendingBytes === 0 && available >= HEADER_BYTES) {
      const framedBytes = HEADER_BYTES + readLength(chunk, at);
      // A frame that is completely contained in the chunk is not copied.
      if (framedBytes <= Math.min(available, this.#pending.length)) {
        this.#handlers.onFrame(chunk.subarray(at, at + framedBytes));
        return framedBytes;
      }
    }
    const wanted = HEADER_BYTES + (this.#pendingBytes < HEADER_BYTES ? 0 : readLength(this.#pending, 0));
    const taken = Math.min(wanted - this.#pendingBytes, available);
    chunk.copy(this.#pending, this.#pendingBytes, at, at + taken);
    this.#pendingBytes += taken;
    if (this.#pendingBytes < HEADER_BYTES) return taken;
    const length = readLength(this.#pending, 0);
    if (length > MAX_FRAME_BYTES) {
      this.#pendingBytes = 0;
      this.#skippedBytes = length;
      this.#handlers.onOversize();
    } else if (this.#pendingBytes === HEADER_BYTES + length) {
      this.#pendingBytes = 0;
      this.#handlers.onFrame(this.#pending.subarray(0, HEADER_BYTES + length));
    }
    return taken;
  }
}

function readLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length > MAX_QEMU_FRAME_BYTES) throw new RangeError(`it announced a frame of ${length} bytes`);
  return length;
}
