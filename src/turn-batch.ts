/** What dozens of services ask of somebody at once goes there together: each message wakes a thread or a process. */

/** Collects what is added in one turn of the event loop, and hands it over in the next. */
export class TurnBatch<Item> {
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
