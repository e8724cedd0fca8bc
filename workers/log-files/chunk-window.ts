/** Flow control for a reader in another thread, with a fixed number of buffers in total. */
import type { MessagePort } from 'node:worker_threads';
import { within } from '../../src/lib/promises.ts';
import { CHUNK_BYTES } from '../../src/protocol/log-files/queries.ts';

/** Thrown when the reader has gone; it is not reported to anyone. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/**
 * Collects records into chunks and sends them. A chunk is a transferred buffer; the reader sends it back when it is
 * done, and only returned buffers are filled again. A slow reader thus blocks the sender and costs no memory.
 */
export class ChunkWindow {
  readonly #port: MessagePort;
  readonly #free: ArrayBuffer[] = [];
  /** Number of buffers that may still be allocated. */
  #unmade: number;
  #chunk: Buffer | null = null;
  #length = 0;
  #borrower: ((buffer: ArrayBuffer) => void) | null = null;
  #lent = 0;
  #isGone = false;
  #wake: () => void = () => {};

  /**
   * Creates the window.
   *
   * @param buffers number of buffers to allocate; the other side may send more
   * @param onGone called once, when either side closes the port
   */
  constructor(port: MessagePort, buffers: number, onGone: () => void = () => {}) {
    this.#port = port;
    this.#unmade = buffers;
    port.on('message', (message: unknown) => {
      if (message instanceof ArrayBuffer && message.byteLength === CHUNK_BYTES) this.#accept(message);
    });
    port.on('close', () => {
      this.#isGone = true;
      this.#wake();
      onGone();
    });
  }

  /** Adds bytes [from, to), at most {@link CHUNK_BYTES}, to the current chunk; false if they do not fit. */
  put(bytes: Buffer, from: number, to: number): boolean {
    if (!this.#chunk || this.#length + (to - from) > CHUNK_BYTES) return false;
    this.#length += bytes.copy(this.#chunk, this.#length, from, to);
    return true;
  }

  /**
   * Adds bytes like {@link put}; if they do not fit, sends the current chunk and waits for a buffer. Throws {@link
   * ReaderGone}.
   *
   * @param patienceMs maximum wait; unlimited by default
   * @returns false if no buffer arrived; then the bytes are not added
   */
  async append(bytes: Buffer, from: number, to: number, patienceMs?: number): Promise<boolean> {
    if (this.put(bytes, from, to)) return true;
    this.flush();
    if (!(await this.hasRoom(patienceMs))) return false;
    this.#chunk = Buffer.from(this.#free.pop() ?? this.#make());
    return this.put(bytes, from, to);
  }

  /** Waits for a buffer; false if none arrived within `patienceMs`. Throws {@link ReaderGone}. */
  async hasRoom(patienceMs?: number): Promise<boolean> {
    if (this.#isGone) throw new ReaderGone();
    if (this.#chunk || this.#free.length > 0 || this.#unmade > 0) return true;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await (patienceMs === undefined ? woken : within(woken, patienceMs));
    if (this.#isGone) throw new ReaderGone();
    return this.#free.length > 0;
  }

  /** Sends the current chunk unless it is empty. */
  flush(): void {
    if (!this.#chunk || this.#length === 0) return;
    const bytes = new Uint8Array(this.#chunk.buffer as ArrayBuffer, 0, this.#length);
    this.#chunk = null;
    this.#length = 0;
    this.#send(bytes);
  }

  /** Passes every buffer to `borrower`, including those that return later, until {@link endLoan}. */
  lend(borrower: (buffer: ArrayBuffer) => void): void {
    this.flush();
    this.#borrower = borrower;
    const buffers = this.takeUnused();
    while (this.#unmade > 0) buffers.push(this.#make());
    for (const buffer of buffers) this.#accept(buffer);
  }

  /** Sends a chunk that the borrower has filled. */
  relay(bytes: Uint8Array<ArrayBuffer>): void {
    this.#lent -= 1;
    this.#send(bytes);
  }

  /** Takes back the borrower's unused buffers; lost ones are allocated again. */
  endLoan(unused: readonly ArrayBuffer[]): void {
    this.#borrower = null;
    this.#unmade += this.#lent - unused.length;
    this.#lent = 0;
    for (const buffer of unused) this.#accept(buffer);
  }

  /** Takes all free buffers out of the window. */
  takeUnused(): ArrayBuffer[] {
    const unused = this.#free.splice(0);
    if (this.#chunk) unused.push(this.#chunk.buffer as ArrayBuffer);
    this.#chunk = null;
    return unused;
  }

  #make(): ArrayBuffer {
    this.#unmade -= 1;
    return new ArrayBuffer(CHUNK_BYTES);
  }

  #accept(buffer: ArrayBuffer): void {
    if (this.#borrower) {
      this.#lent += 1;
      this.#borrower(buffer);
      return;
    }
    this.#free.push(buffer);
    this.#wake();
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#port.postMessage({ type: 'chunk', bytes }, [bytes.buffer]);
  }
}
