/** Host ports that are forwarded to guest ports, one for each replica. */
import type { JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { MAX_PORT } from '../../protocol/input.ts';
import { formatPort, type Port } from '../../protocol/service.ts';
import { list, orWholeNumber, type Problem, parsed, type Schema, scalar, Text } from './values.ts';

const EXPECTED =
  '"host:guest" such as "8080:80" or "5353:53/udp", or one port for both, from 1 to 65535; for replicas "8080-8083:80"';

/** Guest port, and the host ports that are forwarded to it: one for each replica. */
export interface PortRange {
  readonly first: number;
  readonly count: number;
  readonly guest: number;
  readonly protocol: Port['protocol'];
}

const Mapping = parsed(orWholeNumber(Text), parsePorts);

const JSON_MAPPING: JsonSchema = { type: ['string', 'integer'] };

/** `host:guest`, `first-last:guest`, or one port for both, optionally followed by `/udp` or `/tcp` (the default). */
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

function parsePorts(text: string): PortRange | Problem {
  const match = /^(\d{1,5})(?:-(\d{1,5})(?=:))?(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  const guest = Number(match?.[3] ?? match?.[1]);
  const isValid = last >= first && [first, last, guest].every((port) => port >= 1 && port <= MAX_PORT);
  if (!isValid) return { problem: 'is not a port mapping' };
  return { first, count: last - first + 1, guest, protocol: match?.[4] === 'udp' ? 'udp' : 'tcp' };
}

/** Port of a replica; replicas are counted from 0. */
export function portOf({ first, guest, protocol }: PortRange, replica: number): Port {
  return { host: first + replica, guest, protocol };
}

/** Names of the services that a declaration creates: its own, or `web-1`, `web-2` for `replicas = 2`. */
export function replicaNames({ name, replicas }: { readonly name: string; readonly replicas?: number | undefined }) {
  if (replicas === undefined) return [name];
  return Array.from({ length: replicas }, (_, index) => `${name}-${index + 1}`);
}
