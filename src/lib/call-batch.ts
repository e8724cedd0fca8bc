/** Calls of another thread that dozens of services make at once, as one message. Main thread. */

import { EventLoopBatch, TurnQueue } from './event-loop-batch.ts';
import { fromWireError, type WireError } from './wire-error.ts';

interface Call<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Calls of one turn that are made together, and answered each by itself. */
export class CallBatch<Item> {
  readonly #calls: EventLoopBatch<Call<Item>>;
  readonly #answers = new TurnQueue();

  /** @param makeAll answers for each item why it failed, or null; what it throws fails all of them */
  constructor(makeAll: (items: Item[]) => Promise<readonly (WireError | null)[]>) {
    this.#calls = new EventLoopBatch((calls) => void this.#answer(calls, makeAll(calls.map(({ item }) => item))));
  }

  /** @throws MonocoreError why it failed */
  call(item: Item): Promise<void> {
    return new Promise((resolve, reject) => this.#calls.add({ item, resolve, reject }));
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
