/** Splits QEMU's stream into frames. */
import { HEADER_BYTES, MAX_FRAME_BYTES, MAX_QEMU_FRAME_BYTES } from './frame.ts';

export interface FrameHandlers {
  /** Gets a frame behind its length, valid only during the call. */
  readonly onFrame: (framed: Buffer) => void;
  /** Told of a frame that is too large and skipped. */
  readonly onOversize: () => void;
}

/** Buffers at most one incomplete frame. */
export class FrameReader {
  readonly #handlers: FrameHandlers;
  readonly #pending = Buffer.allocUnsafe(HEADER_BYTES + MAX_FRAME_BYTES);
  #pendingBytes = 0;
  #skippedBytes = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Takes the next bytes. @throws RangeError for an impossible length, after which the stream makes no sense */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skippedBytes > 0) {
        const skipped = Math.min(this.#skippedBytes, chunk.length - at);
        this.#skippedBytes -= skipped;
        at += skipped;
      } else if (this.#pendingBytes > 0) {
        at += this.#complete(chunk, at);
      } else {
        at += this.#take(chunk, at);
      }
    }
  }

  /** Takes a frame that begins at `at`. Returns the bytes consumed. */
  #take(chunk: Buffer, at: number): number {
    const available = chunk.length - at;
    if (available < HEADER_BYTES) return this.#keep(chunk, at, available);
    const length = readLength(chunk, at);
    if (length > MAX_FRAME_BYTES) return this.#skip(length);
    const framedBytes = HEADER_BYTES + length;
    if (available < framedBytes) return this.#keep(chunk, at, available);
    this.#handlers.onFrame(chunk.subarray(at, at + framedBytes));
    return framedBytes;
  }

  /** Continues the frame of an earlier chunk: its length first, then the rest. */
  #complete(chunk: Buffer, at: number): number {
    const wanted = this.#pendingBytes < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + readLength(this.#pending, 0);
    const added = this.#keep(chunk, at, Math.min(wanted - this.#pendingBytes, chunk.length - at));
    if (this.#pendingBytes < HEADER_BYTES) return added;
    const length = readLength(this.#pending, 0);
    if (length > MAX_FRAME_BYTES) {
      this.#pendingBytes = 0;
      this.#skip(length);
    } else if (this.#pendingBytes === HEADER_BYTES + length) {
      this.#pendingBytes = 0;
      this.#handlers.onFrame(this.#pending.subarray(0, HEADER_BYTES + length));
    }
    return added;
  }

  #keep(chunk: Buffer, at: number, bytes: number): number {
    chunk.copy(this.#pending, this.#pendingBytes, at, at + bytes);
    this.#pendingBytes += bytes;
    return bytes;
  }

  /** Skips a frame. Returns the bytes of its length. */
  #skip(length: number): number {
    this.#handlers.onOversize();
    this.#skippedBytes = length;
    return HEADER_BYTES;
  }
}

function readLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length > MAX_QEMU_FRAME_BYTES) throw new RangeError(`it announced a frame of ${length} bytes`);
  return length;
}
