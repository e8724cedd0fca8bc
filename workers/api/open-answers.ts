/** Unfinished HTTP answers: pending ones, and streams without a foreseeable end (events, followed logs, pulls). */
import type { ServerResponse } from 'node:http';
import { deferred, within } from '../../src/lib/promises.ts';

/** Tracks open answers, so that a stop can end them in an orderly way. */
export class OpenAnswers {
  readonly #open = new Set<ServerResponse>();
  readonly #streams = new Set<ServerResponse>();
  readonly #empty = deferred();
  #isEnding = false;

  /** Registers an answer; must be called first. */
  track(outgoing: ServerResponse): void {
    this.#open.add(outgoing);
    outgoing.once('close', () => {
      this.#open.delete(outgoing);
      this.#streams.delete(outgoing);
      if (this.#isEnding && this.#open.size === 0) this.#empty.resolve();
    });
  }

  /** Begins a stream. The headers are sent at once, because the client waits for them. */
  startStream(outgoing: ServerResponse, contentType: string): void {
    outgoing.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    outgoing.flushHeaders();
    this.#streams.add(outgoing);
  }

  /**
   * Ends every stream with a complete answer and waits until all answers have been sent.
   *
   * @param graceMs maximum wait, after which answers may remain incomplete
   */
  async end(graceMs: number): Promise<void> {
    this.#isEnding = true;
    for (const outgoing of this.#streams) outgoing.end();
    if (this.#open.size > 0) await within(this.#empty.promise, graceMs);
  }
}
