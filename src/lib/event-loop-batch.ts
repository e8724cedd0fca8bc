/** Queues and batches that work in turns of the event loop, for dozens of services that act at once. */
import { fromWireError, type WireError } from './errors.ts';
import { type Deferred, deferred } from './promises.ts';

/** Tasks per turn. A task takes up to half a millisecond before its code is optimized, so a turn stays below ten. */
const PER_TURN = 16;

/**
 * Runs tasks in order, a few per turn of the event loop; at once while there are few. An error of a task ends the
 * process.
 */
export class EventLoopQueue {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  /** Number of tasks run in this turn; null before the first. */
  #done: number | null = null;

  constructor(perTurn = PER_TURN) {
    this.#perTurn = perTurn;
  }

  add(task: () => void): void {
    this.#waiting.push(task);
    if (this.#done === null) this.#work();
    // Called inside or right after a task: this turn has room left, and no other task is waiting.
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

/**
 * Collects the items of one turn and passes them on in the next: one message per item would wake the receiver each
 * time.
 */
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

/** Sends the calls of one turn to another thread as one message and settles each call separately. */
export class CallBatch<Item> {
  readonly #calls: EventLoopBatch<Call<Item>>;
  readonly #answers = new EventLoopQueue();

  /** Creates the batch. @param makeAll returns the error or null of each item; its rejection fails all of them */
  constructor(makeAll: (items: Item[]) => Promise<readonly (WireError | null)[]>) {
    this.#calls = new EventLoopBatch((calls) => void this.#answer(calls, makeAll(calls.map(({ item }) => item))));
  }

  /** Adds an item to the batch. @throws MonocoreError the error of this item */
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
