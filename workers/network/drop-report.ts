/** Counts frames that were dropped, and tells of them now and then. */
import type { DropCause, NetworkEvent } from '../../src/protocol/network.ts';

/** No timer runs while nothing is dropped. */
export class DropReport {
  readonly #delayMs: number;
  readonly #post: (event: NetworkEvent) => void;
  readonly #counts = new Map<string, Map<DropCause, number>>();
  #timer: NodeJS.Timeout | null = null;

  /** @param delayMs from the first drop to the message */
  constructor(delayMs: number, post: (event: NetworkEvent) => void) {
    this.#delayMs = delayMs;
    this.#post = post;
  }

  count(service: string, cause: DropCause): void {
    const counts = this.#counts.get(service) ?? new Map<DropCause, number>();
    counts.set(cause, (counts.get(cause) ?? 0) + 1);
    this.#counts.set(service, counts);
    this.#timer ??= setTimeout(() => this.#tell(), this.#delayMs);
  }

  #tell(): void {
    this.#timer = null;
    for (const [service, counts] of this.#counts) {
      for (const [cause, frames] of counts) this.#post({ type: 'dropped', service, cause, frames });
    }
    this.#counts.clear();
  }
}
