/** Lets as many services start at once as the host can bear. */
import { formatSize } from '../lib/units.ts';

const MIB = 2 ** 20;

/** What the host can bear. */
export interface StartLimits {
  /** How many may be on their way at once. */
  readonly slots: number;
  /** Memory of the host that is free now, bytes; null where it does not matter. */
  readonly freeBytes: (() => number) | null;
}

interface Waiting {
  readonly needBytes: number;
  readonly onWait: (reason: string) => void;
  readonly enter: () => void;
  /** What `onWait` was told last. */
  told: string | null;
}

/**
 * First come, first served. One that is on its way has not touched its memory yet, so what it will need counts as taken;
 * where nothing is on its way the next one goes ahead however little is free: waiting would not help. Main thread.
 */
export class StartSlots {
  readonly #limits: StartLimits;
  readonly #waiting: Waiting[] = [];
  #entered = 0;
  #promisedBytes = 0;

  constructor(limits: StartLimits) {
    this.#limits = limits;
  }

  /**
   * Runs `task` when its turn has come, and settles as it does.
   *
   * @param memoryMib what it will take of the host's memory
   * @param onWait told why it has to wait, for people
   */
  async run<T>(memoryMib: number, onWait: (reason: string) => void, task: () => Promise<T>): Promise<T> {
    const needBytes = memoryMib * MIB;
    await new Promise<void>((enter) => {
      this.#waiting.push({ needBytes, onWait, enter, told: null });
      this.#admit();
    });
    try {
      return await task();
    } finally {
      this.#entered -= 1;
      this.#promisedBytes -= needBytes;
      this.#admit();
    }
  }

  #admit(): void {
    for (let [first] = this.#waiting; first; [first] = this.#waiting) {
      const reason = this.#whyNot(first.needBytes);
      if (reason !== null) {
        for (const waiting of this.#waiting) tell(waiting, reason);
        return;
      }
      this.#waiting.shift();
      this.#entered += 1;
      this.#promisedBytes += first.needBytes;
      first.enter();
    }
  }

  #whyNot(needBytes: number): string | null {
    const { slots, freeBytes } = this.#limits;
    if (this.#entered === 0) return null;
    if (this.#entered >= slots) return `waits for its turn: ${slots} start at a time`;
    const leftBytes = freeBytes === null ? Number.POSITIVE_INFINITY : freeBytes() - this.#promisedBytes;
    return leftBytes < needBytes ? `waits for memory: ${formatSize(Math.max(0, leftBytes))} are free` : null;
  }
}

/** Once: with dozens that wait, each entry would be news for all of them. */
function tell(waiting: Waiting, reason: string): void {
  if (waiting.told === reason) return;
  waiting.told = reason;
  waiting.onWait(reason);
}
