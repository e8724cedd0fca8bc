/** Limits concurrent starts to what the processors and the free memory of the host allow. */
import { MonocoreError } from '../lib/errors.ts';
import { formatSize, MIB } from '../lib/units.ts';

/** Capacity of the host. */
export interface StartLimits {
  /** Number of starts at once. */
  readonly slots: number;
  /** Free memory of the host in bytes; infinite if memory does not matter. */
  readonly freeBytes: () => number;
}

interface Waiting {
  readonly needBytes: number;
  readonly onWait: (reason: string) => void;
  readonly enter: () => void;
  /** Reason that was last passed to `onWait`. */
  told: string | null;
}

/**
 * Start slots, granted in the order of requests. A VM that is starting has not touched its memory yet, so its full
 * requirement counts as used. While nothing is starting, the next start may begin however little memory is free:
 * waiting would not help. Main thread.
 */
export class StartSlots {
  readonly #limits: StartLimits;
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #promisedBytes = 0;

  constructor(limits: StartLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a slot as soon as one is free.
   *
   * @param memoryMib memory that the start will use on the host
   * @param onWait receives the reason for waiting, for people
   * @returns a function that frees the slot; further calls do nothing
   * @throws MonocoreError `Aborted` if the signal fires first
   */
  async take(memoryMib: number, onWait: (reason: string) => void, signal?: AbortSignal): Promise<() => void> {
    const needBytes = memoryMib * MIB;
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        const index = this.#waiting.indexOf(waiting);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(new MonocoreError('Aborted', 'the start was cancelled'));
        // Others may have been waiting behind this one.
        this.#admit();
      };
      const enter = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { needBytes, onWait, enter, told: null };
      if (signal?.aborted) return leave();
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
      this.#admit();
    });
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#taken -= 1;
      this.#promisedBytes -= needBytes;
      this.#admit();
    };
  }

  #admit(): void {
    for (let [first] = this.#waiting; first; [first] = this.#waiting) {
      const reason = this.#whyNot(first.needBytes);
      if (reason !== null) {
        for (const waiting of this.#waiting) {
          // Only when it changes: with dozens of waiting services, each repetition would be an event for all of them.
          if (waiting.told !== reason) waiting.onWait(reason);
          waiting.told = reason;
        }
        return;
      }
      this.#waiting.shift();
      this.#taken += 1;
      this.#promisedBytes += first.needBytes;
      first.enter();
    }
  }

  #whyNot(needBytes: number): string | null {
    const { slots, freeBytes } = this.#limits;
    if (this.#taken === 0) return null;
    if (this.#taken >= slots) return `waiting for a start slot (${slots} at a time)`;
    const leftBytes = freeBytes() - this.#promisedBytes;
    return leftBytes < needBytes ? `waiting for memory (${formatSize(Math.max(0, leftBytes))} free)` : null;
  }
}
