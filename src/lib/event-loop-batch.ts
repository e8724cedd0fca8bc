/** Queues and batches by turns of the event loop, for dozens of services that act at once. */
import { fromWireError, type WireError } from './errors.ts';
import { type Deferred, deferred } from './promises.ts';

/** A task takes up to half a millisecond while its code is new, so a turn stays below ten. */
const PER_TURN = 16;

/** Runs tasks in order, a few in each turn; at once while there are few. An error of a task ends the process. */
export class EventLoopQueue {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  /** Tasks of this turn so far; null before its first. */
  #done: number | null = null;

  constructor(perTurn = PER_TURN) {
    this.#perTurn = perTurn;
  }

  add(task: () => void): void {
    this.#waiting.push(task);
    if (this.#done === null) this.#work();
    // Inside a task, or right behind one: this turn has room, and no other task waits longer.
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

/** Collects the items of one turn and hands them over in the next: a message for each would wake its reader each time. */
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

type Call<Item> = Deferred<void> & { readonly item: Item };

/** Sends the calls of one turn to another thread as one message, and answers each by itself. */
export class CallBatch<Item> {
  readonly #calls: EventLoopBatch<Call<Item>>;
  readonly #answers = new EventLoopQueue();

  /** @param makeAll returns the error or null of each item; its rejection fails all of them */
  constructor(makeAll: (items: Item[]) => Promise<readonly (WireError | null)[]>) {
    this.#calls = new EventLoopBatch((calls) => void this.#answer(calls, makeAll(calls.map(({ item }) => item))));
  }

  /** @throws MonocoreError the error of this item */
  call(item: Item): Promise<void> {
    const call = { ...deferred(), item };
    this.#calls.add(call);
    return call.promise;
  }

  async #answer(calls: readonly Call<Item>[], answers: Promise<readonly (WireError | null)[]>): Promise<void> {
    try {
      const errors = await answers;
      for (const [index, { resolve, reject }] of calls.entries()) {
        const error = errors[index];
        this.#answers.add(error ? () => reject(fromWireError(error)) : resolve);
      }
    } catch (error) {
      for (const { reject } of calls) this.#answers.add(() => reject(error));
    }
  }
}
