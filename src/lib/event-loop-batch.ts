/** Turns of the event loop: what dozens of services do at once is shared out among them, or put together in one. */

/** Each thing takes up to half a millisecond when the code is new: a turn of them stays below ten. */
const PER_TURN = 16;

/**
 * Does what comes in bulk a few at a time, in order, so that what else waits has its turn between them. At once where
 * little comes. A task that throws ends the process, as an event handler would.
 */
export class TurnQueue {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  /** How many tasks this turn has had; null before its first. */
  #done: number | null = null;

  constructor(perTurn = PER_TURN) {
    this.#perTurn = perTurn;
  }

  add(task: () => void): void {
    this.#waiting.push(task);
    if (this.#done === null) this.#work();
    // Within a task, or behind one: there is room, and nobody waits longer.
    else if (this.#done < this.#perTurn && this.#waiting.length === 1) this.#workOff();
  }

  #work(): void {
    this.#done = 0;
    setImmediate(() => {
      this.#done = null;
      if (this.#waiting.length > 0) this.#work();
    });
    this.#workOff();
  }

  #workOff(): void {
    while (this.#done !== null && this.#done < this.#perTurn && this.#waiting.length > 0) {
      this.#done += 1;
      this.#waiting.shift()!();
    }
  }
}

/** Collects what is added in one turn, and hands it over in the next: a message for each would wake its reader each time. */
export class EventLoopBatch<Item> {
  readonly #handOver: (items: Item[]) => void;
  #items: Item[] = [];

  constructor(handOver: (items: Item[]) => void) {
    this.#handOver = handOver;
  }

  add(item: Item): void {
    if (this.#items.push(item) > 1) return;
    setImmediate(() => {
      const items = this.#items;
      this.#items = [];
      this.#handOver(items);
    });
  }
}
