/** ARP, RFC 826, with which a guest finds the host in its network. */
import { GATEWAY_INDEX } from '../../src/protocol/network.ts';
import { isAddressOf, PAYLOAD, TYPE, TYPE_ARP, writeAddress, writeHead, writeMac } from './frame.ts';

/** Ethernet and IPv4, with addresses of 6 and 4 bytes. */
const KIND = Buffer.from([0, 1, 8, 0, 6, 4]);
const REQUEST = 1;
const REPLY = 2;
const OPERATION = PAYLOAD + 6;
const SENDER_MAC = PAYLOAD + 8;
const SENDER_ADDRESS = PAYLOAD + 14;
const TARGET_MAC = PAYLOAD + 18;
const TARGET_ADDRESS = PAYLOAD + 24;
const ARP_BYTES = 28;

export function asksForGateway(framed: Buffer): boolean {
  return (
    framed.length >= PAYLOAD + ARP_BYTES &&
    framed.readUInt16BE(TYPE) === TYPE_ARP &&
    KIND.equals(framed.subarray(PAYLOAD, OPERATION)) &&
    framed.readUInt16BE(OPERATION) === REQUEST &&
    isAddressOf(framed, TARGET_ADDRESS, GATEWAY_INDEX)
  );
}

/** Writes the reply. @param into receives the frame @param index of the asking member */
export function writeArpReply(into: Buffer, index: number, request: Buffer): Buffer {
  const framed = writeHead(into, GATEWAY_INDEX, index, TYPE_ARP, ARP_BYTES);
  KIND.copy(framed, PAYLOAD);
  framed.writeUInt16BE(REPLY, OPERATION);
  writeMac(framed, SENDER_MAC, GATEWAY_INDEX);
  writeAddress(framed, SENDER_ADDRESS, GATEWAY_INDEX);
  writeMac(framed, TARGET_MAC, index);
  // Copied: a member that probes whether its address is free has none yet.
  request.copy(framed, TARGET_ADDRESS, SENDER_ADDRESS, SENDER_ADDRESS + 4);
  return framed;
}
