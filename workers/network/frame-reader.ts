/** Cuts what a QEMU sends into frames. */
import { HEADER_BYTES, MAX_FRAME_BYTES, MAX_QEMU_FRAME_BYTES } from './frame.ts';

/** What came. */
export interface FrameHandlers {
  /** A frame behind its length. Only valid during the call. */
  readonly onFrame: (framed: Buffer) => void;
  /** A frame that is too large, which is skipped. */
  readonly onOversize: () => void;
}

/** Keeps what is there of an incomplete frame, and never more: its memory does not grow. */
export class FrameReader {
  readonly #handlers: FrameHandlers;
  readonly #pending = Buffer.allocUnsafe(HEADER_BYTES + MAX_FRAME_BYTES);
  #pendingBytes = 0;
  #skippedBytes = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Takes the next bytes. @throws RangeError for a length that no QEMU sends: there is no telling what follows */
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

  /** Takes a frame that begins here. Returns how many bytes that took. */
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

  /** Adds to the frame that began in an earlier chunk: its length first, then the rest. */
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

  /** Passes over a frame whose length was read. Returns the bytes of the length. */
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
