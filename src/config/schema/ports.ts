/** Host ports that are forwarded to guest ports, one for each replica. */
import { isIPv6 } from 'node:net';
import type { JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { isHostAddress, MAX_PORT } from '../../protocol/input.ts';
import { formatPort, type Port } from '../../protocol/service.ts';
import { quote } from '../languages/document.ts';
import { list, orWholeNumber, Printable, type Problem, parsed, type Schema, scalar, Text } from './values.ts';

const EXPECTED =
  '"host:guest" such as "8080:80" or "5353:53/udp", or one port for both, from 1 to 65535; ' +
  'with an address "0.0.0.0:8080:80", for replicas "8080-8083:80"';

/** Guest port, and the host ports that are forwarded to it: one for each replica. */
export interface PortRange {
  /** Address of the host; undefined for that of the group. */
  readonly address: string | undefined;
  readonly first: number;
  readonly count: number;
  readonly guest: number;
  readonly protocol: Port['protocol'];
}

const Mapping = parsed(orWholeNumber(Text), parsePorts);

const JSON_MAPPING: JsonSchema = { type: ['string', 'integer'] };

/**
 * `host:guest`, `first-last:guest`, or one port for both, optionally followed by `/udp` or `/tcp` (the default) and preceded
 * by a host address and a colon.
 */
export const PortMapping = scalar(Mapping, EXPECTED, { json: JSON_MAPPING });

/** Limit that includes `port`; matches what the jail of a VM relays: `MAX_LISTENERS` in `vm/qemu/jail/relay.h`. */
const MAX_MAPPINGS = 255;

const Mappings = v.pipe(list(Mapping), v.maxLength(MAX_MAPPINGS, `has more than ${MAX_MAPPINGS} ports`)) as Schema<
  PortRange[]
>;

export const PortMappings = scalar(Mappings, `an array of ${EXPECTED}`, {
  print: (ports: readonly Port[]) => ports.map(formatPort),
  json: { type: 'array', items: JSON_MAPPING },
});

/** An address of the host on which ports are bound. */
export const BindAddress = scalar(
  parsed(Printable, (text): string | Problem => {
    const problem = findAddressFault(text);
    return problem === null ? text : { problem };
  }),
  'an IPv4 address of the host such as "127.0.0.9", or "0.0.0.0" for all of them',
);

function parsePorts(text: string): PortRange | Problem {
  const [prefix = '', address] = /^(\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]{0,45}\]):/i.exec(text) ?? [];
  const fault = address === undefined ? null : findAddressFault(address);
  if (fault !== null) return { problem: fault };
  const match = /^(\d{1,5})(?:-(\d{1,5})(?=:))?(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text.slice(prefix.length));
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  const guest = Number(match?.[3] ?? match?.[1]);
  const isValid = last >= first && [first, last, guest].every((port) => port >= 1 && port <= MAX_PORT);
  if (!isValid) return { problem: 'is not a port mapping' };
  return { address, first, count: last - first + 1, guest, protocol: match?.[4] === 'udp' ? 'udp' : 'tcp' };
}

/** Reason why ports cannot be bound on `address`; null when they can. */
function findAddressFault(address: string): string | null {
  if (isHostAddress(address)) return null;
  if (isIPv6(address.replace(/^\[(.*)\]$/, '$1')))
    return `${quote(address)} is IPv6, and ports are bound on IPv4 alone`;
  return `${quote(address)} is not an IPv4 address of a host`;
}

/** Port of a replica; replicas are counted from 0. */
export function portOf({ address, first, guest, protocol }: PortRange, replica: number): Port {
  return { ...(address === undefined ? {} : { address }), host: first + replica, guest, protocol };
}

/** Names of the services that a declaration creates: its own, or `web-1`, `web-2` for `replicas = 2`. */
export function replicaNames({ name, replicas }: { readonly name: string; readonly replicas?: number | undefined }) {
  if (replicas === undefined) return [name];
  return Array.from({ length: replicas }, (_, index) => `${name}-${index + 1}`);
}
