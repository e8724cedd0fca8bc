/** What waits to be written to one VM. */

/**
 * Bytes of each of the two buffers of a queue. A TCP connection of a guest has about as much on its way; more would only
 * add delay before the sender learns that it is too fast.
 */
export const QUEUE_BYTES = 128 * 1024;

/**
 * One buffer is filled while the other is written, so memory is bounded and nothing is allocated for a frame. What does
 * not fit is not taken.
 */
export class OutputQueue {
  readonly #write: (bytes: Buffer, onWritten: () => void) => void;
  #filling = Buffer.allocUnsafeSlow(QUEUE_BYTES);
  #written = Buffer.allocUnsafeSlow(QUEUE_BYTES);
  #filledBytes = 0;
  #isWriting = false;

  /** @param write must call back when the bytes are not needed any more */
  constructor(write: (bytes: Buffer, onWritten: () => void) => void) {
    this.#write = write;
  }

  /** Takes a copy. Returns whether there was room. */
  add(framed: Buffer): boolean {
    if (this.#filledBytes + framed.length > QUEUE_BYTES) return false;
    framed.copy(this.#filling, this.#filledBytes);
    this.#filledBytes += framed.length;
    return true;
  }

  /** Writes what was added, unless a write is under way: then that follows by itself. */
  flush(): void {
    if (this.#isWriting || this.#filledBytes === 0) return;
    const bytes = this.#filling.subarray(0, this.#filledBytes);
    [this.#filling, this.#written] = [this.#written, this.#filling];
    this.#filledBytes = 0;
    this.#isWriting = true;
    this.#write(bytes, () => {
      this.#isWriting = false;
      this.flush();
    });
  }
}
