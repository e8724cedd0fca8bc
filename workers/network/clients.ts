/** Clients behind the gateway's ports: an address translation table, RFC 3022. */
import { randomInt } from 'node:crypto';

/** Maximum number of clients of a VM. */
export const MAX_CLIENTS = 4096;

/** Lifetime of an idle client, the minimum of RFC 4787, section 4.3. */
export const CLIENT_IDLE_MS = 120_000;

/** Ports of the gateway: the dynamic ports of RFC 6335, far more than there are clients. */
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

/** Program that sends datagrams to a UDP port of the host. */
interface Client<Through> {
  /** Host port through which it reaches the VM. */
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
 * Clients of one VM. Only a client's own datagrams keep it in the table, so a guest cannot keep sending to a port that
 * its client has left and another program may now use. If the table is full, the client that has been idle longest is
 * dropped. A port is reused only after all others, so a late answer never reaches another client. The first port is
 * random, because a thread that died or an earlier daemon may have had a table for the same VM.
 */
export class Clients<Through extends { readonly id: number }> {
  readonly #now: () => number;
  /** Clients by key, longest idle first. */
  readonly #byKey = new Map<string, Entry<Through>>();
  readonly #byPort = new Map<number, Entry<Through>>();
  #nextPort = randomInt(FIRST_PORT, LAST_PORT + 1);

  /** Creates the table. @param now monotonic time, milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Gateway port of a client, which is assigned if the client is new. */
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

  /** Finds the client of a gateway port; null if there is none. */
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
