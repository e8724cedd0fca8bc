/** The buffers in which records go to a reader in another thread: a window of a fixed size, for the reader's whole life. */
import type { MessagePort } from 'node:worker_threads';
import { CHUNK_BYTES } from '../../src/protocol/log-files/queries.ts';

/** Thrown where the reader is gone; nobody is told. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/**
 * Collects records to chunks and sends them. A chunk is its buffer, transferred; the reader sends it back when it is done
 * with it, and only what is back is filled again. So a slow reader holds the sender up, and costs no memory.
 */
export class ChunkWindow {
  readonly #port: MessagePort;
  readonly #free: ArrayBuffer[] = [];
  /** Buffers that may yet be made. */
  #unmade: number;
  #chunk: Buffer | null = null;
  #length = 0;
  #borrower: ((buffer: ArrayBuffer) => void) | null = null;
  #lent = 0;
  #isGone = false;
  #wake: () => void = () => {};

  /**
   * @param buffers how many there are; further ones are those that the other side sends
   * @param onGone called once, when the port is closed from either side
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

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Adds bytes [from, to), at most {@link CHUNK_BYTES}, where they fit into the chunk at hand; else false. */
  put(bytes: Buffer, from: number, to: number): boolean {
    if (!this.#chunk || this.#length + (to - from) > CHUNK_BYTES) return false;
    this.#length += bytes.copy(this.#chunk, this.#length, from, to);
    return true;
  }

  /** As {@link put}, with a new chunk where they do not fit. Throws {@link ReaderGone}. */
  async append(bytes: Buffer, from: number, to: number): Promise<void> {
    if (this.put(bytes, from, to)) return;
    await this.turn();
    this.put(bytes, from, to);
  }

  /**
   * Sends the chunk at hand and begins a new one as soon as there is a buffer. Throws {@link ReaderGone}.
   *
   * @param patienceMs how long to wait for that; for ever by default
   * @returns false when none came; the next call asks again
   */
  async turn(patienceMs?: number): Promise<boolean> {
    this.flush();
    if (!(await this.hasRoom(patienceMs))) return false;
    this.#chunk ??= Buffer.from(this.#take()!);
    return true;
  }

  /** Waits until a chunk could be filled. Throws {@link ReaderGone}. */
  async hasRoom(patienceMs?: number): Promise<boolean> {
    if (this.#isGone) throw new ReaderGone();
    if (this.#chunk || this.#free.length > 0 || this.#unmade > 0) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (patienceMs !== undefined) timer = setTimeout(resolve, patienceMs);
    });
    clearTimeout(timer);
    if (this.#isGone) throw new ReaderGone();
    return this.#free.length > 0;
  }

  /** Sends what was put. */
  flush(): void {
    if (!this.#chunk || this.#length === 0) return;
    const bytes = new Uint8Array(this.#chunk.buffer as ArrayBuffer, 0, this.#length);
    this.#chunk = null;
    this.#length = 0;
    this.#send(bytes);
  }

  /** Gives every buffer to `borrower`, those that come back later, too, until {@link endLoan}. */
  lend(borrower: (buffer: ArrayBuffer) => void): void {
    this.flush();
    this.#borrower = borrower;
    if (this.#chunk) this.#free.push(this.#chunk.buffer as ArrayBuffer);
    this.#chunk = null;
    for (let buffer = this.#take(); buffer; buffer = this.#take()) this.#accept(buffer);
  }

  /** Sends a chunk that the borrower has filled. */
  relay(bytes: Uint8Array<ArrayBuffer>): void {
    this.#lent -= 1;
    this.#send(bytes);
  }

  /** Takes back what the borrower has not used; what is not among `unused` got lost and is made anew. */
  endLoan(unused: readonly ArrayBuffer[]): void {
    this.#borrower = null;
    this.#unmade += this.#lent - unused.length;
    this.#lent = 0;
    for (const buffer of unused) this.#accept(buffer);
  }

  /** Every buffer that is in no chunk; none is left. */
  takeUnused(): ArrayBuffer[] {
    const unused = this.#free.splice(0);
    if (this.#chunk) unused.push(this.#chunk.buffer as ArrayBuffer);
    this.#chunk = null;
    return unused;
  }

  #take(): ArrayBuffer | null {
    const buffer = this.#free.pop();
    if (buffer) return buffer;
    if (this.#unmade === 0) return null;
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
    if (!this.#isGone) this.#port.postMessage({ type: 'chunk', bytes }, [bytes.buffer]);
  }
}
