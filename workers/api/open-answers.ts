/** Answers that are not complete: pending ones, and streams without a foreseeable end (events, followed logs, pulls). */
import type { ServerResponse } from 'node:http';

/** Open answers, so that a stop can end them in order. */
export class OpenAnswers {
  readonly #open = new Set<ServerResponse>();
  readonly #streams = new Set<ServerResponse>();
  #onEmpty = () => {};

  /** Registers an answer; called first for each. */
  track(outgoing: ServerResponse): void {
    this.#open.add(outgoing);
    outgoing.once('close', () => {
      this.#open.delete(outgoing);
      this.#streams.delete(outgoing);
      if (this.#open.size === 0) this.#onEmpty();
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
