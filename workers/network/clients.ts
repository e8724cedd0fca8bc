/** Who is behind which port of the gateway: the table of a network address translation, RFC 3022. */
import { randomInt } from 'node:crypto';

/** Most clients of a VM at once. */
export const MAX_CLIENTS = 4096;

/** How long a client is known that sends nothing: the least that RFC 4787 asks for, section 4.3. */
export const CLIENT_IDLE_MS = 120_000;

/** Ports of the gateway: the dynamic ones of RFC 6335, many more than there may be clients. */
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

/** A program that sends datagrams to a UDP port of the host. */
export interface Client<Through> {
  /** What it came through, and its answers go through. */
  readonly through: Through;
  readonly address: string;
  readonly port: number;
}

interface Entry<Through> extends Client<Through> {
  readonly gatewayPort: number;
  readonly key: string;
  usedAtMs: number;
}

/**
 * Clients of one VM. Only what a client sends keeps it in the table: a guest cannot go on sending to a port of the host that
 * its client has left, and that may be somebody else's by now. Where there are too many, the one that was silent for longest
 * is forgotten. A port is not used again before all others were, so no late answer goes to another client. Where to begin is
 * left to chance: another table may have been there for the same VM, before a thread that died or in an earlier daemon.
 */
export class Clients<Through extends { readonly id: number }> {
  readonly #now: () => number;
  /** The one that was silent for longest first. */
  readonly #byKey = new Map<string, Entry<Through>>();
  readonly #byPort = new Map<number, Entry<Through>>();
  #nextPort = randomInt(FIRST_PORT, LAST_PORT + 1);

  /** @param now monotonic time, milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The client's port of the gateway, from now on if it is new. */
  portOf(client: Client<Through>): number {
    const key = `${client.through.id} ${client.address} ${client.port}`;
    this.#forgetIdle();
    const known = this.#byKey.get(key);
    const entry = known ?? { ...client, key, gatewayPort: this.#takePort(), usedAtMs: 0 };
    entry.usedAtMs = this.#now();
    this.#byKey.delete(key);
    this.#byKey.set(key, entry);
    this.#byPort.set(entry.gatewayPort, entry);
    return entry.gatewayPort;
  }

  /** The client behind a port of the gateway; null when there is none, or none any more. */
  find(gatewayPort: number): Client<Through> | null {
    this.#forgetIdle();
    return this.#byPort.get(gatewayPort) ?? null;
  }

  #forgetIdle(): void {
    const since = this.#now() - CLIENT_IDLE_MS;
    for (const entry of this.#byKey.values()) {
      if (entry.usedAtMs > since) return;
      this.#forget(entry);
    }
  }

  #takePort(): number {
    const [oldest] = this.#byKey.values();
    if (oldest && this.#byKey.size >= MAX_CLIENTS) this.#forget(oldest);
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = port === LAST_PORT ? FIRST_PORT : port + 1;
      if (!this.#byPort.has(port)) return port;
    }
  }

  #forget({ key, gatewayPort }: Entry<Through>): void {
    this.#byKey.delete(key);
    this.#byPort.delete(gatewayPort);
  }
}
