/** Writes a file from a place on, in large pieces; synchronous, because the job has its thread for itself. */
import { writeSync } from 'node:fs';

const BUFFER_BYTES = 1024 * 1024;

export class FileWriter {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  /** Where the buffer belongs in the file. */
  #start: number;

  /** @param start offset in the file, in bytes */
  constructor(fd: number, start = 0) {
    this.#fd = fd;
    this.#start = start;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#start + this.#used;
  }

  /** Throws errors of the system, `ENOSPC` for example, as every method. */
  write(bytes: Uint8Array): void {
    let taken = 0;
    while (taken < bytes.length) {
      if (this.#used === BUFFER_BYTES) this.flush();
      const part = bytes.subarray(taken, taken + BUFFER_BYTES - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      taken += part.length;
    }
  }

  /** Zeros up to `position`. */
  padTo(position: number): void {
    while (this.position < position) {
      if (this.#used === BUFFER_BYTES) this.flush();
      const length = Math.min(position - this.position, BUFFER_BYTES - this.#used);
      this.#buffer.fill(0, this.#used, this.#used + length);
      this.#used += length;
    }
  }

  flush(): void {
    writeFully(this.#fd, this.#buffer.subarray(0, this.#used), this.#start);
    this.#start += this.#used;
    this.#used = 0;
  }
}

/** Writes all of `bytes`; one call may write a part, on a disk that is nearly full for example. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}
