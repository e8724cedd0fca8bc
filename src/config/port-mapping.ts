/** `port` and `ports`: what of the host leads to what of the guest. */
import * as v from 'valibot';
import type { Port } from '../protocol/service.ts';
import { Text } from './fields.ts';

const MAX_PORT = 65_535;

export const PORT = '"host:guest" such as "8080:80" or "5353:53/udp", or one port for both, from 1 to 65535';

/** `host:guest`, or one port for both; `/udp` behind it, or `/tcp`, which is the default. */
export const PortMapping = v.pipe(
  Text,
  v.check((text) => parsePort(text) !== null, 'is not a port mapping'),
  v.transform((text) => parsePort(text)!),
);

function parsePort(text: string): Port | null {
  const match = /^(\d{1,5})(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text);
  if (!match) return null;
  const host = Number(match[1]);
  const guest = Number(match[2] ?? match[1]);
  const isValid = [host, guest].every((port) => port >= 1 && port <= MAX_PORT);
  return isValid ? { host, guest, protocol: match[3] === 'udp' ? 'udp' : 'tcp' } : null;
}
