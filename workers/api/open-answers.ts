/** Answers that are not complete: due ones, and those without a foreseeable end (events, logs that are followed). */
import type { ServerResponse } from 'node:http';

/** The answers that are open, so that a stop can end them in order. */
export class OpenAnswers {
  readonly #open = new Set<ServerResponse>();
  readonly #streams = new Set<ServerResponse>();
  #onEmpty = () => {};

  /** Every answer, before anything else is done with it. */
  track(outgoing: ServerResponse): void {
    this.#open.add(outgoing);
    outgoing.once('close', () => {
      this.#open.delete(outgoing);
      this.#streams.delete(outgoing);
      if (this.#open.size === 0) this.#onEmpty();
    });
  }

  /** Begins an answer that lasts until {@link OpenAnswers.end}. The headers go at once: the client waits for them. */
  startStream(outgoing: ServerResponse, contentType: string): void {
    outgoing.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    outgoing.flushHeaders();
    this.#streams.add(outgoing);
  }

  /**
   * Ends every stream, so that its client sees a complete answer, and waits until all answers have gone out.
   *
   * @param graceMs what they get; some are incomplete still when it is over
   */
  async end(graceMs: number): Promise<void> {
    for (const outgoing of this.#streams) outgoing.end();
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
