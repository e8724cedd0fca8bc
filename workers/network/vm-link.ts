/** The connection to one VM. */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { GroupPort } from '../../src/protocol/network.ts';
import { FrameReader } from './frame-reader.ts';

const RETRY_MS = 20;
const RETRY_MAX_MS = 1000;
/** A QEMU that has not made its socket by then has a reason. */
const UNREACHABLE_MS = 15_000;

/** What becomes of a link. */
export interface LinkHandlers {
  readonly onFrame: (framed: Buffer) => void;
  /** All frames of a chunk have come. */
  readonly onBatch: () => void;
  readonly onOversize: () => void;
  /** What came was no frame; the link is closed. */
  readonly onFault: (reason: string) => void;
  /** It could not be connected for a while; called once. */
  readonly onUnreachable: (error: string) => void;
}

/**
 * Connects as soon as the socket exists, and again whenever the connection ends, until closed. QEMU talks to one at a time
 * and listens again when that one has gone.
 */
export class VmLink {
  readonly port: GroupPort;
  readonly flood = new FloodLimit();
  readonly #handlers: LinkHandlers;
  #socket: Socket;
  #queue: OutputQueue | null = null;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = RETRY_MS;
  /** Since when it is tried in vain; null when it is connected, or that was told. */
  #triedSinceMs: number | null = performance.now();
  #closed = false;

  constructor(port: GroupPort, handlers: LinkHandlers) {
    this.port = port;
    this.#handlers = handlers;
    this.#socket = this.#connect();
  }

  get connected(): boolean {
    return this.#queue !== null;
  }

  /** Puts a frame into the queue; see {@link VmLink.flush}. Returns false when that is full. */
  send(framed: Buffer): boolean {
    return this.#queue?.add(framed) ?? true;
  }

  /** Writes what was sent. */
  flush(): void {
    this.#queue?.flush();
  }

  close(): void {
    this.#closed = true;
    this.#queue = null;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #connect(): Socket {
    const { onFrame, onBatch, onOversize } = this.#handlers;
    const socket = connect(this.port.socketPath);
    const reader = new FrameReader({ onFrame, onOversize });
    socket.on('connect', () => {
      this.#delayMs = RETRY_MS;
      this.#triedSinceMs = null;
      // QEMU leaves the mode to its umask; that nobody else gets this far is the folder's doing.
      chmod(this.port.socketPath, 0o600, () => {});
      this.#queue = new OutputQueue((bytes, onWritten) => socket.write(bytes, () => onWritten()));
    });
    socket.on('data', (chunk) => {
      // What is left of a chunk that ended the link is nobody's.
      if (this.#closed) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.close();
        this.#handlers.onFault((error as Error).message);
      }
      // Frames that came before what was none are under way, too.
      onBatch();
    });
    socket.on('error', (error) => this.#tellUnreachable(error));
    socket.on('close', () => {
      if (this.#queue) this.#triedSinceMs = performance.now();
      this.#queue = null;
      if (this.#closed) return;
      this.#timer = setTimeout(() => {
        this.#socket = this.#connect();
      }, this.#delayMs);
      this.#delayMs = Math.min(this.#delayMs * 2, RETRY_MAX_MS);
    });
    return socket;
  }

  #tellUnreachable(error: Error): void {
    if (this.#triedSinceMs === null || performance.now() - this.#triedSinceMs < UNREACHABLE_MS) return;
    this.#triedSinceMs = null;
    this.#handlers.onUnreachable(error.message);
  }
}

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

/** Frames a second. A member asks with one for the address of another, about once a minute. */
export const FLOOD_RATE = 1000;
/** Frames at once. */
export const FLOOD_BURST = 1000;

/** A token bucket. */
export class FloodLimit {
  readonly #now: () => number;
  #tokens = FLOOD_BURST;
  #filledAtMs: number;

  /** @param now monotonic time, milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#filledAtMs = now();
  }

  /** Whether one more may pass. */
  take(): boolean {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#filledAtMs) * FLOOD_RATE) / 1000;
    this.#tokens = Math.min(this.#tokens + gained, FLOOD_BURST);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
