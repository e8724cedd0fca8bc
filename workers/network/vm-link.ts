/** Connection to one VM. */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { errorTextWithPath } from '../../src/lib/errors.ts';
import { type Rate, TokenBucket } from '../../src/lib/token-bucket.ts';
import type { GroupPort } from '../../src/protocol/network.ts';
import { type FrameHandlers, FrameReader } from './frame.ts';

const RETRY_MS = 20;
const RETRY_MAX_MS = 1000;
/** Time after which a missing socket is reported. */
const UNREACHABLE_MS = 15_000;

/**
 * Limit on a VM's broadcasts, each of which costs every member of the group. A member needs about one per minute for
 * each other member's address.
 */
export const BROADCASTS: Rate = { burst: 1000, perSecond: 1000 };

interface LinkHandlers extends FrameHandlers {
  readonly onBatch: () => void;
  /** The stream was malformed; the link is closed. */
  readonly onFault: (reason: string) => void;
  /** Called once when the connection has been failing for a while. */
  readonly onUnreachable: (error: string) => void;
}

/**
 * Link that connects as soon as the socket exists, and again after each disconnection, until closed. QEMU serves one
 * connection at a time.
 */
export class VmLink {
  readonly port: GroupPort;
  readonly broadcasts = new TokenBucket(BROADCASTS);
  readonly #handlers: LinkHandlers;
  #socket: Socket;
  #queue: OutputQueue | null = null;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = RETRY_MS;
  /** Time of the first failed attempt; null while connected or after the report. */
  #triedSinceMs: number | null = performance.now();
  #closed = false;

  constructor(port: GroupPort, handlers: LinkHandlers) {
    this.port = port;
    this.#handlers = handlers;
    this.#socket = this.#connect();
  }

  /**
   * Queues a frame until {@link VmLink.flush}; drops it if there is no connection. Returns false if the queue is full.
   */
  send(framed: Buffer): boolean {
    return this.#queue?.add(framed) ?? true;
  }

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
    const socket = connect(this.port.socketPath);
    const reader = new FrameReader(this.#handlers);
    socket.on('connect', () => {
      this.#delayMs = RETRY_MS;
      this.#triedSinceMs = null;
      // QEMU applies its umask to the socket; until now the mode of the folder kept other users out.
      chmod(this.port.socketPath, 0o600, () => {});
      this.#queue = new OutputQueue(socket);
    });
    socket.on('data', (chunk) => {
      // The rest of a chunk that ended the link is discarded.
      if (this.#closed) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.close();
        this.#handlers.onFault((error as Error).message);
      }
      // Frames before the malformed one are still delivered.
      this.#handlers.onBatch();
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
    this.#handlers.onUnreachable(errorTextWithPath(error));
  }
}

/** Size of each buffer: about the window of a guest's TCP connection; more would only delay feedback to the sender. */
export const QUEUE_BYTES = 128 * 1024;

/**
 * Double-buffered queue: one buffer fills while the other is written. Memory is bounded, and frames need no allocation.
 */
class OutputQueue {
  readonly #socket: Socket;
  #filling = Buffer.allocUnsafeSlow(QUEUE_BYTES);
  #written = Buffer.allocUnsafeSlow(QUEUE_BYTES);
  #filledBytes = 0;
  #isWriting = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Copies a frame; returns false if there is no room for it. */
  add(framed: Buffer): boolean {
    if (this.#filledBytes + framed.length > QUEUE_BYTES) return false;
    framed.copy(this.#filling, this.#filledBytes);
    this.#filledBytes += framed.length;
    return true;
  }

  /** Writes the queue now, or after the current write. */
  flush(): void {
    if (this.#isWriting || this.#filledBytes === 0) return;
    const bytes = this.#filling.subarray(0, this.#filledBytes);
    [this.#filling, this.#written] = [this.#written, this.#filling];
    this.#filledBytes = 0;
    this.#isWriting = true;
    this.#socket.write(bytes, () => {
      this.#isWriting = false;
      this.flush();
    });
  }
}
