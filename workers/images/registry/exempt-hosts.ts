/** Which hosts are asked without a proxy. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { isLoopbackRegistry } from '../../../src/protocol/image-reference.ts';

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Whether `NO_PROXY` exempts the host of a URL, read as Docker reads it (golang.org/x/net/http/httpproxy): `*`, or entries
 * with commas between them, each a name, which covers those below it, too; a name with a dot before it, which covers only
 * those; an address or a network as `10.0.0.0/8`; each but a network with a port or without. This host needs no proxy to
 * itself.
 */
export function isExempt(url: URL, noProxy: string): boolean {
  if (isLoopbackRegistry(url.host)) return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || DEFAULT_PORTS[url.protocol];
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      if (entry.includes('/')) return isInNetwork(host, entry);
      const [, name, wantedPort] = /^(.*?)(?::(\d+))?$/.exec(isIP(entry) ? `[${entry}]` : entry)!;
      if (wantedPort !== undefined && wantedPort !== port) return false;
      return covers(name!.replace(/^\[|\]$/g, ''), host);
    });
}

function covers(name: string, host: string): boolean {
  const domain = name.replace(/^\*/, '');
  if (domain === '') return false;
  if (domain.startsWith('.')) return host.endsWith(domain);
  return host === domain || host.endsWith(`.${domain}`);
}

function isInNetwork(host: string, network: string): boolean {
  const [address, bits] = network.split('/') as [string, string];
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  const isNetwork = isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 'ipv4' ? 32 : 128);
  if (!isNetwork || isIP(host) !== isIP(address)) return false;
  const networks = new BlockList();
  networks.addSubnet(address, Number(bits), family);
  return networks.check(host, family);
}
