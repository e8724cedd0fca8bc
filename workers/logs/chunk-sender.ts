/** The reader's port: chunks out, no more than the reader takes. */
import type { MessagePort } from 'node:worker_threads';
import { type LogReadEvent, READ_WINDOW } from '../../src/protocol/logs.ts';
import { BLOCK_BYTES } from './stream-cursor.ts';

/** Thrown where the reader is gone; nobody is told. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Collects records to chunks of up to 64 KiB and sends them while the reader has room for them. */
export class ChunkSender {
  readonly #port: MessagePort;
  readonly #chunk: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #length = 0;
  #credits = READ_WINDOW;
  #isGone = false;
  #wake: (() => void) | null = null;

  /** @param onGone called once, when the port is closed from either side */
  constructor(port: MessagePort, onGone: () => void) {
    this.#port = port;
    port.on('message', (message: unknown) => {
      if (message !== 'more') return;
      this.#credits += 1;
      this.#wake?.();
    });
    port.on('close', () => {
      this.#isGone = true;
      this.#wake?.();
      onGone();
    });
  }

  /** Adds bytes [from, to), at most 64 KiB. Throws {@link ReaderGone}. */
  async append(bytes: Buffer, from = 0, to: number = bytes.length): Promise<void> {
    if (this.#length + (to - from) > BLOCK_BYTES) await this.flush();
    this.#length += bytes.copy(this.#chunk, this.#length, from, to);
  }

  /** Sends what was collected, as soon as the reader has room. Throws {@link ReaderGone}. */
  async flush(): Promise<void> {
    while (this.#length > 0 && this.#credits === 0 && !this.#isGone) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#isGone) throw new ReaderGone();
    if (this.#length === 0) return;
    this.#credits -= 1;
    const bytes = new Uint8Array(this.#chunk.subarray(0, this.#length));
    this.#length = 0;
    this.#post({ type: 'chunk', bytes }, [bytes.buffer]);
  }

  /** Says the last word and closes the port. */
  end(event: Extract<LogReadEvent, { type: 'end' | 'error' }>): void {
    if (this.#isGone) return;
    this.#post(event);
    this.#port.close();
  }

  #post(event: LogReadEvent, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(event, transfer);
  }
}
