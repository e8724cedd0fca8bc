/** Frames of the protocol with the agent of a guest, see `agent/protocol.ts`. */
import {
  END_MARK,
  FRAME_TYPES,
  type FrameType,
  HEAD_BYTES,
  MAX_BODY_BYTES,
  MAX_MESSAGE_BYTES,
  MORE,
} from './agent/protocol.ts';

const NAMES: ReadonlyMap<number, FrameType> = new Map(
  Object.entries(FRAME_TYPES).map(([name, number]) => [number, name as FrameType]),
);

/** A frame that has come. */
export interface Frame {
  readonly type: FrameType;
  readonly session: number;
  readonly body: Buffer;
}

function renderFrame(type: FrameType, session: number, body: Uint8Array, flags: number): Buffer {
  const frame = Buffer.alloc(HEAD_BYTES + body.length + 1);
  frame[0] = FRAME_TYPES[type];
  frame[1] = flags;
  frame.writeUInt16LE(body.length, 2);
  frame.writeUInt32LE(session, 4);
  frame.set(body, HEAD_BYTES);
  frame[frame.length - 1] = END_MARK;
  return frame;
}

/** Renders a message, as several frames where it is too long for one. Throws RangeError beyond {@link MAX_MESSAGE_BYTES}. */
export function renderMessage(type: FrameType, session = 0, body: Uint8Array = Buffer.alloc(0)): Buffer {
  if (body.length > MAX_MESSAGE_BYTES) throw new RangeError(`a ${type} message has ${body.length} bytes`);
  const frames: Buffer[] = [];
  let start = 0;
  do {
    const end = Math.min(start + MAX_BODY_BYTES, body.length);
    frames.push(renderFrame(type, session, body.subarray(start, end), end < body.length ? MORE : 0));
    start = end;
  } while (start < body.length);
  return Buffer.concat(frames);
}

/** Renders words, which are texts without a zero byte. */
export function renderWords(words: readonly string[]): Buffer {
  return Buffer.from(words.map((word) => `${word}\0`).join(''));
}

/** Cuts a stream of bytes into frames. The other side is not trusted. */
export class AgentFrameReader {
  /** Beginning of a frame. */
  readonly #frame = Buffer.alloc(HEAD_BYTES + MAX_BODY_BYTES + 1);
  #have = 0;

  /** Forgets the beginning of a frame. */
  reset(): void {
    this.#have = 0;
  }

  /**
   * Takes bytes.
   *
   * @param onFrame gets each frame, whose body is valid until it returns; true goes on with the next
   * @returns false for bytes that are no frames
   */
  push(data: Buffer, onFrame: (frame: Frame) => boolean): boolean {
    let rest = data;
    while (rest.length > 0) {
      const length = this.#have < HEAD_BYTES ? 0 : this.#frame.readUInt16LE(2);
      const wanted = this.#have < HEAD_BYTES ? HEAD_BYTES : HEAD_BYTES + length + 1;
      const taken = rest.copy(this.#frame, this.#have, 0, wanted - this.#have);
      this.#have += taken;
      rest = rest.subarray(taken);
      if (!NAMES.has(this.#frame[0]!) || (this.#have === HEAD_BYTES && !isHead(this.#frame))) return false;
      if (this.#have === HEAD_BYTES || this.#have < wanted) continue;
      this.#have = 0;
      if (this.#frame[HEAD_BYTES + length] !== END_MARK) return false;
      const frame = {
        type: NAMES.get(this.#frame[0]!)!,
        session: this.#frame.readUInt32LE(4),
        body: this.#frame.subarray(HEAD_BYTES, HEAD_BYTES + length),
      };
      if (!onFrame(frame)) return true;
    }
    return true;
  }
}

/** True for a head that an agent may send: it cuts no message, and sends no zero bytes between frames. */
function isHead(head: Buffer): boolean {
  return head[1] === 0 && head.readUInt16LE(2) <= MAX_BODY_BYTES;
}
