/** Serves `GET /v1/events`: every known service, then each change. */
import type { ServerResponse } from 'node:http';
import type { ControlEvent } from '../../src/protocol/api.ts';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import type { OpenAnswers } from './open-answers.ts';

/** Maximum number of unread bytes for a client, some thousand events; a client with more is disconnected. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20;

interface Client {
  readonly outgoing: ServerResponse;
  /** Events that arrived before the list of services; null once the list has been sent. */
  early: string | null;
}

export class EventHub {
  readonly #answers: OpenAnswers;
  readonly #maxUnreadBytes: number;
  readonly #clients = new Set<Client>();

  constructor(answers: OpenAnswers, maxUnreadBytes = MAX_UNREAD_BYTES) {
    this.#answers = answers;
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  get size(): number {
    return this.#clients.size;
  }

  publish(event: ControlEvent): void {
    if (this.#clients.size === 0) return;
    const line = toLine(event);
    for (const client of this.#clients) this.#send(client, line);
  }

  /**
   * Adds a client: it receives a `service` event for each service of `listServices`, then every event published from
   * now on. An event that was in flight may follow the list although it is older; newer events come after it, so the
   * last event of each service is right.
   *
   * @throws the error of `listServices`; then nothing has been sent
   */
  async add(outgoing: ServerResponse, listServices: () => Promise<readonly ServiceStatus[]>): Promise<void> {
    // Registered first, because an event between the list and the registration would be lost.
    const client: Client = { outgoing, early: '' };
    this.#clients.add(client);
    outgoing.once('close', () => this.#clients.delete(client));
    try {
      const services = await listServices();
      if (outgoing.destroyed) return;
      const early = client.early ?? '';
      client.early = null;
      this.#answers.startStream(outgoing, 'application/x-ndjson');
      outgoing.write(services.map((service) => toLine({ type: 'service', service })).join('') + early);
    } catch (error) {
      this.#clients.delete(client);
      throw error;
    }
  }

  #send(client: Client, line: string): void {
    const { outgoing } = client;
    if (outgoing.writableEnded) return;
    if (client.early !== null) client.early += line;
    else outgoing.write(line);
    if (outgoing.writableLength + (client.early?.length ?? 0) > this.#maxUnreadBytes) outgoing.destroy();
  }
}

function toLine(event: ControlEvent): string {
  return `${JSON.stringify(event)}\n`;
}
