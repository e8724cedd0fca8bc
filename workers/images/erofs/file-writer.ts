/** Buffered file writer; synchronous, because the job has a thread to itself. */
import { writeSync } from 'node:fs';

const BUFFER_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(4096);

export class FileWriter {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  /** Offset of the buffer in the file. */
  #start: number;

  /** Creates a writer. @param start offset in the file, in bytes */
  constructor(fd: number, start = 0) {
    this.#fd = fd;
    this.#start = start;
  }

  /** Offset of the next byte. */
  get position(): number {
    return this.#start + this.#used;
  }

  /** Writes bytes. @throws errors of the system, like every method */
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

  /** Writes zeros up to `position`. */
  padTo(position: number): void {
    while (this.position < position) this.write(ZEROS.subarray(0, position - this.position));
  }

  flush(): void {
    writeFully(this.#fd, this.#buffer.subarray(0, this.#used), this.#start);
    this.#start += this.#used;
    this.#used = 0;
  }
}

/** Writes all of `bytes`; a single call may write less, for example on a nearly full disk. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}
