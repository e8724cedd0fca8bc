/** Handles events one by one: the effects of an event are completed before the next one is handled. Main thread. */
export class EventQueue<Event> {
  readonly #handle: (event: Event) => Promise<void>;
  readonly #isClosing: () => boolean;
  readonly #events: Event[] = [];
  /** Predicates of waiting callers. */
  readonly #checks = new Set<() => void>();
  /** True while an event is being handled. */
  #busy = false;

  /**
   * Creates the queue.
   *
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

  /** Inserts an event that follows from the current one before all waiting events. */
  putFirst(event: Event): void {
    this.#events.unshift(event);
  }

  /**
   * Resolves once `isTrue` returns true while no event is being handled. It is called immediately, after the last
   * event, and when `signal` fires.
   */
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
