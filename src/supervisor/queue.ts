/** Handles events one by one: the effects of one are done before the next is looked at. Main thread. */
export class EventQueue<Event> {
  readonly #handle: (event: Event) => Promise<void>;
  readonly #isClosing: () => boolean;
  readonly #events: Event[] = [];
  /** Predicates of callers that wait. */
  readonly #checks = new Set<() => void>();
  /** True while an event is being handled. */
  #busy = false;

  /**
   * @param handle must not reject
   * @param isClosing true once no more events may be handled
   */
  constructor(handle: (event: Event) => Promise<void>, isClosing: () => boolean) {
    this.#handle = handle;
    this.#isClosing = isClosing;
  }

  push(event: Event): void {
    this.#events.push(event);
    if (!this.#busy) void this.#work();
  }

  /** Puts an event that follows from the current one before all that wait. */
  putFirst(event: Event): void {
    this.#events.unshift(event);
  }

  /** Resolves once `isTrue` is while no event is handled: it is asked now, after the last event, and when `signal` fires. */
  until(isTrue: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#busy || !isTrue()) return;
        this.#checks.delete(check);
        signal?.removeEventListener('abort', check);
        resolve();
      };
      this.#checks.add(check);
      signal?.addEventListener('abort', check);
      check();
    });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (!this.#isClosing()) {
      const event = this.#events.shift();
      if (event === undefined) break;
      await this.#handle(event);
    }
    this.#busy = false;
    for (const check of [...this.#checks]) check();
  }
}
