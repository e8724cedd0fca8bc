/** Events one by one: what must be done about one is done before the next is looked at. */

/** Main thread. */
export class EventQueue<Event> {
  readonly #handle: (event: Event) => Promise<void>;
  readonly #onIdle: () => void;
  readonly #isClosing: () => boolean;
  readonly #events: Event[] = [];
  #busy = false;

  /**
   * @param handle must not reject
   * @param onIdle called when there is no event left
   * @param isClosing whether no event is to be handled any more
   */
  constructor(handle: (event: Event) => Promise<void>, onIdle: () => void, isClosing: () => boolean) {
    this.#handle = handle;
    this.#onIdle = onIdle;
    this.#isClosing = isClosing;
  }

  /** Whether an event is being handled. */
  get busy(): boolean {
    return this.#busy;
  }

  /** An event from outside; it is handled at once where none is. */
  push(event: Event): void {
    this.#events.push(event);
    if (!this.#busy) void this.#work();
  }

  /** An event that follows from the one being handled, and comes before whatever else has come meanwhile. */
  putFirst(event: Event): void {
    this.#events.unshift(event);
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (!this.#isClosing()) {
      const event = this.#events.shift();
      if (event === undefined) break;
      await this.#handle(event);
    }
    this.#busy = false;
    this.#onIdle();
  }
}
