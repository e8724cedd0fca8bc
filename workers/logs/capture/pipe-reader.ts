/** Reads a pipe to its end: as soon as something is in it, or a little later and more at once while it is busy. */
import { readSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { errorCode } from '../../../src/lib/errors.ts';
import type { BusyPipe, BusyPipes } from './busy-pipes.ts';

/** The most that a pipe holds, unless root allows more: `fs.pipe-max-size`, see pipe(7). */
const MAX_PIPE_BYTES = 2 ** 20;
/** A pipe is busy when that many reads of few bytes come within that time. */
const BUSY_READS = 4;
const BUSY_WINDOW_MS = 8;
const FEW_BYTES = 16_384;

/** A pipe and its reader. */
interface PipeReaderOptions {
  /** Non-blocking; the reader closes it. */
  readonly fd: number;
  /** Bytes are read into it. All pipes of a thread may share it because they are taken synchronously. */
  readonly buffer: Buffer;
  readonly busyPipes: BusyPipes;
  /** The first `length` bytes of the buffer were read. */
  readonly onBytes: (length: number) => void;
  /** The pipe is closed: at its end, or by {@link PipeReader.close}. */
  readonly onClosed: () => void;
}

/** Reader of a pipe. */
export class PipeReader implements BusyPipe {
  readonly #options: PipeReaderOptions;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #isPaused = false;
  #isDelivering = false;
  #isBusy = false;
  #windowStartMs = 0;
  #fewReads = 0;
  /** Callers of {@link PipeReader.drain}, and how much the pipe may still hold for them. */
  #drained: ((isHeldOpen: boolean) => void)[] = [];
  #leftBytes = 0;

  /** Throws the system's error when the fd is not a pipe; it stays open then. */
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
    // The receiver still works on the buffer.
    if (!this.#isDelivering) this.#readOut();
    this.#update();
  }

  /**
   * Reads what is in the pipe now, then calls `done`, with false at the end of the file. Waits while the reader is paused.
   * A pipe that is filled without end is read to the most that a pipe can hold.
   */
  drain(done: (isHeldOpen: boolean) => void): void {
    if (this.#socket.destroyed) return;
    this.#drained.push(done);
    this.#leftBytes = MAX_PIPE_BYTES;
    this.#update();
    this.#readOut();
    this.#update();
  }

  /** Drops what is in the pipe now. @returns bytes */
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

  /** Stops reading. What is in the pipe stays there for the next reader, if a writer holds it open. */
  close(): Promise<void> {
    this.#socket.destroy();
    this.#options.busyPipes.remove(this);
    return this.#closed;
  }

  /** See {@link BusyPipe}. An error counts as the end. */
  read(): number | null {
    const { fd, buffer } = this.#options;
    const length = readNow(fd, buffer);
    if (length) this.#deliver(length);
    return length;
  }

  /** See {@link BusyPipe}. */
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

  /** Lets the socket read unless someone else does. */
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

/** Bytes read: 0 at the end of the file, which an error counts as; null when there is nothing to read yet. */
function readNow(fd: number, buffer: Buffer): number | null {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? null : 0;
  }
}
