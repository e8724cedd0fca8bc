/** Forward through what a gzip file holds, with little garbage: one buffer for what goes in, few large ones come out. */
import type { FileHandle } from 'node:fs/promises';
import { createGunzip, type Gunzip } from 'node:zlib';

const INPUT_BYTES = 65_536;
/** zlib makes a new buffer for each piece of this size; with its default of 16 KiB it takes four times as long. */
const PIECE_BYTES = 262_144;
const NOTHING = Buffer.alloc(0);

/** One pass over a file, from its beginning. One call at a time. */
export class Inflation {
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  readonly #closed: Promise<void>;
  readonly #fed: Promise<void>;
  #piece: Buffer = NOTHING;
  #pieceStart = 0;
  #wake: () => void = () => {};

  constructor(handle: FileHandle) {
    this.#closed = new Promise((resolve) => this.#gunzip.once('close', resolve));
    for (const event of ['readable', 'end', 'close']) this.#gunzip.on(event, () => this.#wake());
    // The next read throws it.
    this.#gunzip.on('error', () => {});
    this.#fed = this.#feed(handle).catch((error: Error) => {
      this.#gunzip.destroy(error);
    });
  }

  /** The first place that can still be read. */
  get position(): number {
    return this.#pieceStart;
  }

  /**
   * Fills `target` from `position` on, which is not before {@link Inflation.position}; returns how many bytes there
   * were. Throws the system's or zlib's error.
   */
  async read(target: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const at = position + filled - this.#pieceStart;
      if (at < this.#piece.length) filled += this.#piece.copy(target, filled, at);
      else if (!(await this.#next())) break;
    }
    return filled;
  }

  /** When it resolves, the file is not used any more. */
  async close(): Promise<void> {
    this.#gunzip.destroy();
    await this.#fed;
  }

  async #next(): Promise<boolean> {
    for (;;) {
      if (this.#gunzip.errored) throw this.#gunzip.errored;
      const piece = this.#gunzip.read() as Buffer | null;
      if (piece) {
        this.#pieceStart += this.#piece.length;
        this.#piece = piece;
        return true;
      }
      if (this.#gunzip.readableEnded || this.#gunzip.destroyed) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #feed(handle: FileHandle): Promise<void> {
    const input = Buffer.allocUnsafeSlow(INPUT_BYTES);
    for (let position = 0; ; ) {
      const { bytesRead } = await handle.read(input, 0, INPUT_BYTES, position);
      if (this.#gunzip.destroyed) return;
      if (bytesRead === 0) break;
      position += bytesRead;
      // When zlib calls back it has used all of the input. It does not where it is destroyed meanwhile.
      const used = new Promise<void>((resolve) => this.#gunzip.write(input.subarray(0, bytesRead), () => resolve()));
      await Promise.race([used, this.#closed]);
      if (this.#gunzip.destroyed) return;
    }
    this.#gunzip.end();
  }
}
