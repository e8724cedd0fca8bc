/** The ways to registries: straight, or through the proxies that the environment names. */
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { ProxySettings } from '../../../src/protocol/images.ts';
import { isExempt } from './exempt-hosts.ts';

const CONNECT_TIMEOUT_MS = 15_000;

/** How a URL is asked for. */
export interface Route {
  readonly dispatcher: Dispatcher;
  /** `host:port` of the proxy, for messages; null without one. */
  readonly proxy: string | null;
}

/** Connections of one pull, opened when they are needed and kept until it ends. */
export class Routes {
  readonly #settings: ProxySettings;
  readonly #direct: Route = { dispatcher: new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS } }), proxy: null };
  /** By the proxy's URL as it was set. */
  readonly #proxied = new Map<string, Route>();

  constructor(settings: ProxySettings) {
    this.#settings = settings;
  }

  /** @throws MonocoreError `Usage` when what the environment names is no proxy */
  to(url: URL): Route {
    const { http, https, exempt } = this.#settings;
    const proxy = url.protocol === 'https:' ? https : http;
    if (proxy === null || isExempt(url, exempt)) return this.#direct;
    const known = this.#proxied.get(proxy);
    if (known) return known;
    const route = openProxy(proxy, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
    this.#proxied.set(proxy, route);
    return route;
  }

  /** Breaks off what is under way. */
  async destroy(): Promise<void> {
    await Promise.all([this.#direct, ...this.#proxied.values()].map(({ dispatcher }) => dispatcher.destroy()));
  }
}

/** @param variable where it comes from, for messages, which never have the password in it */
function openProxy(proxy: string, variable: string): Route {
  // As curl(1) and Docker take it, the scheme may be missing.
  const text = proxy.includes('://') ? proxy : `http://${proxy}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new MonocoreError('Usage', `${variable} in the environment is no address of a proxy like http://proxy:3128`);
  }
  const dispatcher = new ProxyAgent({
    uri: url.href,
    proxyTls: { timeout: CONNECT_TIMEOUT_MS },
    // Plain HTTP needs no tunnel, and proxies often allow none to its port.
    proxyTunnel: false,
  });
  return { dispatcher, proxy: url.host };
}
