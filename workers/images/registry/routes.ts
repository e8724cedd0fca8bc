/** Connections to registries, directly or through proxies. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { isLoopbackRegistry } from '../../../src/protocol/image-reference.ts';
import type { ProxySettings } from '../../../src/protocol/images.ts';

const CONNECT_TIMEOUT_MS = 15_000;

interface Route {
  readonly dispatcher: Dispatcher;
  /** `host:port` of the proxy, for messages; null if there is none. */
  readonly proxy: string | null;
}

/** Connections of one pull, opened on demand and kept open until it ends. */
export function openRoutes({ http, https, exempt }: ProxySettings) {
  const direct: Route = { dispatcher: new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS } }), proxy: null };
  /** Routes by the configured URL of the proxy. */
  const proxied = new Map<string, Route>();
  return {
    /** Finds or opens the connection. @throws MonocoreError `Usage` for a malformed proxy address */
    to(url: URL): Route {
      const proxy = url.protocol === 'https:' ? https : http;
      if (proxy === null || isExempt(url, exempt)) return direct;
      const route = proxied.get(proxy) ?? openProxy(proxy, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
      proxied.set(proxy, route);
      return route;
    },

    /** Aborts all requests. */
    async destroy(): Promise<void> {
      await Promise.all([direct, ...proxied.values()].map(({ dispatcher }) => dispatcher.destroy()));
    },
  };
}

/** Opens the connection to a proxy. @param variable its source, for messages, which never show the proxy's password */
function openProxy(proxy: string, variable: string): Route {
  // The scheme may be missing, as in curl(1) and Docker.
  const text = proxy.includes('://') ? proxy : `http://${proxy}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new MonocoreError('Usage', `${variable} in the environment is not a proxy address like http://proxy:3128`);
  }
  const dispatcher = new ProxyAgent({
    uri: url.href,
    proxyTls: { timeout: CONNECT_TIMEOUT_MS },
    // Plain HTTP needs no tunnel, and proxies often forbid tunnels to its port.
    proxyTunnel: false,
  });
  return { dispatcher, proxy: url.host };
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * True if `NO_PROXY` exempts the host of a URL, by Docker's rules (golang.org/x/net/http/httpproxy): `*`, or entries
 * separated by commas. A name includes its subdomains; a name with a leading dot means only those. Entries may also be
 * addresses or networks such as `10.0.0.0/8`; all except networks may have a port. Loopback hosts are always exempt.
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
