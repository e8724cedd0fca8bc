/** Which disks do not answer at once, and how many writes may wait for them. */

/** A write that takes longer stops all streams of its thread for too long. Page-cache writes take microseconds. */
const SLOW_WRITE_MS = 50;
/** Quick writes in a row after which a disk counts as quick again. */
const QUICK_WRITES = 64;
/** libuv has four threads for the whole process, and files are read, and state saved, on the same ones. */
const MAX_WAITING_WRITES = 2;

/**
 * What the streams of one thread know of the disks they write to. A disk that made a write wait is written to on libuv's
 * pool until it is quick again: the thread goes on with other streams meanwhile.
 */
export class DiskPace {
  /** Quick writes in a row by device, for disks that were slow. */
  readonly #quickWrites = new Map<number, number>();
  readonly #turns: (() => void)[] = [];
  #writing = 0;

  /** @param dev see stat(2); null where it is not known, which is as slow as the slowest disk */
  isSlow(dev: number | null): boolean {
    return dev === null ? this.#quickWrites.size > 0 : this.#quickWrites.has(dev);
  }

  /** A write took `durationMs`. */
  note(dev: number | null, durationMs: number): void {
    if (dev === null) return;
    if (durationMs > SLOW_WRITE_MS) {
      this.#quickWrites.set(dev, 0);
      return;
    }
    const quick = this.#quickWrites.get(dev);
    if (quick === undefined) return;
    if (quick + 1 < QUICK_WRITES) this.#quickWrites.set(dev, quick + 1);
    else this.#quickWrites.delete(dev);
  }

  /** Runs `write` when fewer than two others run. */
  async inTurn<T>(write: () => Promise<T>): Promise<T> {
    if (this.#writing >= MAX_WAITING_WRITES) await new Promise<void>((resolve) => this.#turns.push(resolve));
    else this.#writing += 1;
    try {
      return await write();
    } finally {
      // The turn is passed on as it is: nobody can come between.
      const next = this.#turns.shift();
      if (next) next();
      else this.#writing -= 1;
    }
  }
}
