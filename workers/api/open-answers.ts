/** Answers that are not complete: pending ones, and streams without a foreseeable end (events, followed logs, pulls). */
import type { ServerResponse } from 'node:http';
import { deferred, within } from '../../src/lib/promises.ts';

/** Open answers, so that a stop can end them in order. */
export class OpenAnswers {
  readonly #open = new Set<ServerResponse>();
  readonly #streams = new Set<ServerResponse>();
  readonly #empty = deferred();
  #isEnding = false;

  /** Registers an answer; called first for each. */
  track(outgoing: ServerResponse): void {
    this.#open.add(outgoing);
    outgoing.once('close', () => {
      this.#open.delete(outgoing);
      this.#streams.delete(outgoing);
      if (this.#isEnding && this.#open.size === 0) this.#empty.resolve();
    });
  }

  /** Begins a stream. The headers go out at once, because the client waits for them. */
  startStream(outgoing: ServerResponse, contentType: string): void {
    outgoing.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    outgoing.flushHeaders();
    this.#streams.add(outgoing);
  }

  /**
   * Ends every stream with a complete answer and waits until all answers have gone out.
   *
   * @param graceMs longest wait; some answers may be incomplete after it
   */
  async end(graceMs: number): Promise<void> {
    this.#isEnding = true;
    for (const outgoing of this.#streams) outgoing.end();
    if (this.#open.size > 0) await within(this.#empty.promise, graceMs);
  }
}
