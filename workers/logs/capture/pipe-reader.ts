/** Reads a pipe to its end: as soon as it contains data or, while it is busy, a little later and more at once. */
import { readSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { errorCode } from '../../../src/lib/errors.ts';
import type { BusyPipe, BusyPipes } from './busy-pipes.ts';

/** Maximum capacity of a pipe, unless root allows more: `fs.pipe-max-size`, see pipe(7). */
const MAX_PIPE_BYTES = 2 ** 20;
/** A pipe counts as busy after this many short reads within the time below. */
const BUSY_READS = 4;
const BUSY_WINDOW_MS = 8;
const FEW_BYTES = 16_384;

/** Pipe to read, and receivers of its data. */
interface PipeReaderOptions {
  /** Non-blocking descriptor; the reader closes it. */
  readonly fd: number;
  /** Buffer to read into. All pipes of a thread may share it, because data is processed synchronously. */
  readonly buffer: Buffer;
  readonly busyPipes: BusyPipes;
  /** Called when the first `length` bytes of the buffer have been read. */
  readonly onBytes: (length: number) => void;
  /** Called when the pipe is closed: at its end or by {@link PipeReader.close}. */
  readonly onClosed: () => void;
}

/** Reader of one pipe. */
export class PipeReader implements BusyPipe {
  readonly #options: PipeReaderOptions;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #isPaused = false;
  #isDelivering = false;
  #isBusy = false;
  #windowStartMs = 0;
  #fewReads = 0;
  /** Callers of {@link PipeReader.drain}, and how much data the pipe may still contain for them. */
  #drained: ((isHeldOpen: boolean) => void)[] = [];
  #leftBytes = 0;

  /** Starts reading. Throws the system error if the descriptor is not a pipe; it then stays open. */
  constructor(options: PipeReaderOptions) {
    this.#options = options;
    const socketOptions: SocketConstructorOpts & ConnectOpts = {
      fd: options.fd,
      readable: true,
      writable: false,
      onread: { buffer: options.buffer, callback: (length) => this.#onRead(length) },
    };
    this.#socket = new Socket(socketOptions);
    // A pipe that cannot be read has ended; 'close' follows.
    this.#socket.on('error', () => {});
    this.#closed = new Promise((resolve) => {
      this.#socket.on('close', () => {
        this.#options.busyPipes.remove(this);
        options.onClosed();
        resolve();
      });
    });
  }

  pause(): void {
    this.#isPaused = true;
    this.#update();
  }

  resume(): void {
    this.#isPaused = false;
    // The receiver is still using the buffer.
    if (!this.#isDelivering) this.#readOut();
    this.#update();
  }

  /**
   * Reads the current content of the pipe, then calls `done`, with false at end of file. Waits while the reader is
   * paused. From a pipe that is constantly refilled, reads as much as a pipe can hold.
   */
  drain(done: (isHeldOpen: boolean) => void): void {
    if (this.#socket.destroyed) return;
    this.#drained.push(done);
    this.#leftBytes = MAX_PIPE_BYTES;
    this.#update();
    this.#readOut();
    this.#update();
  }

  /** Drops the current content of the pipe. @returns the number of bytes */
  discard(): number {
    const { fd, buffer } = this.#options;
    let bytes = 0;
    while (!this.#socket.destroyed && bytes < MAX_PIPE_BYTES) {
      const length = readNow(fd, buffer);
      if (!length) break;
      bytes += length;
    }
    return bytes;
  }

  /** Stops reading. The content of the pipe stays there for the next reader, if a writer holds the pipe open. */
  close(): Promise<void> {
    this.#socket.destroy();
    this.#options.busyPipes.remove(this);
    return this.#closed;
  }

  /** Implements {@link BusyPipe}. An error counts as the end. */
  read(): number | null {
    const { fd, buffer } = this.#options;
    const length = readNow(fd, buffer);
    if (length) this.#deliver(length);
    return length;
  }

  /** Implements {@link BusyPipe}. */
  onUnsuited(): void {
    this.#isBusy = false;
    this.#update();
  }

  #onRead(length: number): boolean {
    if (length < FEW_BYTES) this.#countFewBytes();
    else this.#fewReads = 0;
    this.#deliver(length);
    return true;
  }

  #deliver(length: number): void {
    this.#isDelivering = true;
    this.#options.onBytes(length);
    this.#isDelivering = false;
  }

  #countFewBytes(): void {
    const nowMs = performance.now();
    if (nowMs - this.#windowStartMs > BUSY_WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#fewReads = 0;
    }
    this.#fewReads += 1;
    if (this.#fewReads < BUSY_READS) return;
    this.#fewReads = 0;
    this.#isBusy = true;
    this.#options.busyPipes.add(this);
    this.#update();
  }

  #readOut(): void {
    while (this.#drained.length > 0 && !this.#isPaused && !this.#socket.destroyed) {
      const length = this.#leftBytes > 0 ? this.read() : null;
      this.#leftBytes = Math.max(0, this.#leftBytes - (length ?? 0));
      if (length) continue;
      for (const done of this.#drained.splice(0)) done(length === null);
    }
  }

  /** Lets the socket read unless something else does. */
  #update(): void {
    if (this.#socket.destroyed) return;
    if (this.#isPaused && this.#isBusy) {
      this.#isBusy = false;
      this.#options.busyPipes.remove(this);
    }
    if (this.#isPaused || this.#isBusy || this.#drained.length > 0) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** Number of bytes read: 0 at end of file or after an error; null if there is nothing to read now. */
function readNow(fd: number, buffer: Buffer): number | null {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? null : 0;
  }
}
