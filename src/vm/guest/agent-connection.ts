/** Connection with the agent of one guest: greets it, reads its frames, and bounds all that it sends. */
import { randomBytes } from 'node:crypto';
import { type Rate, TokenBucket } from '../../lib/token-bucket.ts';
import { KIB, MIB } from '../../lib/units.ts';
import { type FrameType, GENERATION, HEAD_BYTES, NONCE_BYTES, RESYNC_BYTES } from './agent/protocol.ts';
import { AgentFrameReader, type Frame, renderMessage, renderWords } from './agent-frames.ts';
import { AgentSession } from './agent-session.ts';
import { PeerSocket } from './peer-socket.ts';

/** Frames of a guest: a probe may be due each tenth of a second, and anything else is rare. */
const FRAMES: Rate = { burst: 1000, perSecond: 100 };
/** Bytes of a guest, besides those that a session has credit for. */
const BYTES: Rate = { burst: 2 * MIB, perSecond: 128 * KIB };

/** Reason of the end of a session whose guest cannot be heard any more. */
const LOST = 'the connection to the guest was lost';

/** Frames that both generations understand. */
const COMMON: ReadonlySet<FrameType> = new Set(['exited']);

export interface AgentListener {
  /** Gets each frame. */
  readonly onFrame: (frame: Frame) => void;
  /** Called when the agent of a new connection has another generation of the protocol. */
  readonly onMismatch: (generation: number) => void;
  /** See `PeerProtocol`. */
  readonly onOffence: (offence: string) => void;
}

/** Frame without its body and end mark of the answer to a hello, whose body begins with the number. */
function renderAnswerHead(nonce: Buffer): Buffer {
  const head = renderMessage('hello-answer', 0, Buffer.alloc(NONCE_BYTES + 2)).subarray(0, HEAD_BYTES);
  return Buffer.concat([head, nonce]);
}

/** Greets the agent on each new connection and reads its frames. Main thread. */
export class AgentConnection extends PeerSocket {
  constructor(path: string, { onFrame, onMismatch, onOffence }: AgentListener) {
    const frames = new TokenBucket(FRAMES);
    const bytes = new TokenBucket(BYTES);
    const reader = new AgentFrameReader();
    /** Start of the answer that is waited for; null once it has come. */
    let answerHead: Buffer | null = null;
    /** Bytes without the answer that may be its beginning. */
    let before: Buffer = Buffer.alloc(0);
    let isOtherGeneration = false;

    const takeFrame = (frame: Frame): boolean => {
      const session = this.#sessions.get(frame.session);
      if (session?.take(frame)) {
        if (!session.isOpen) this.#sessions.delete(frame.session);
        return !this.isClosed;
      }
      if (!frames.take() || !bytes.take(HEAD_BYTES + frame.body.length + 1)) {
        this.offend('flooded');
        return false;
      }
      if (frame.type === 'hello-answer') {
        const generation = frame.body.length === NONCE_BYTES + 2 ? frame.body.readUInt16LE(NONCE_BYTES) : 0;
        isOtherGeneration = generation !== GENERATION;
        if (isOtherGeneration) onMismatch(generation);
      } else if (!isOtherGeneration || COMMON.has(frame.type)) {
        onFrame(frame);
      }
      return !this.isClosed;
    };

    super(path, {
      onOffence,
      greet: () => {
        const nonce = randomBytes(NONCE_BYTES);
        const generation = Buffer.alloc(2);
        generation.writeUInt16LE(GENERATION);
        answerHead = renderAnswerHead(nonce);
        before = Buffer.alloc(0);
        reader.reset();
        this.closeSessions(LOST);
        return Buffer.concat([
          Buffer.alloc(RESYNC_BYTES),
          renderMessage('hello', 0, Buffer.concat([generation, nonce])),
        ]);
      },
      onDrain: () => {
        for (const session of this.#sessions.values()) session.sendInput();
      },
      onData: (data) => {
        let rest = data;
        if (answerHead) {
          const all = Buffer.concat([before, data]);
          const at = all.indexOf(answerHead);
          if (at === -1) {
            before = Buffer.from(all.subarray(Math.max(0, all.length - answerHead.length + 1)));
            if (!bytes.take(data.length)) this.offend('flooded');
            return;
          }
          answerHead = null;
          rest = all.subarray(at);
        }
        if (!reader.push(rest, takeFrame)) this.offend('broke the protocol of');
      },
    });
  }

  readonly #sessions = new Map<number, AgentSession>();
  #lastSession = 0;

  /** Sends a message. */
  sendMessage(type: FrameType, session = 0, body?: Uint8Array): void {
    this.send(renderMessage(type, session, body));
  }

  /** Number for a session that was never used before. */
  nextSession(): number {
    this.#lastSession += 1;
    return this.#lastSession;
  }

  /** Opens a session by a message of words. */
  openSession(type: 'exec' | 'connect', words: readonly string[]): AgentSession {
    const number = this.nextSession();
    const session = new AgentSession(this, number);
    this.#sessions.set(number, session);
    this.sendMessage(type, number, renderWords(words));
    return session;
  }

  /** Ends all sessions, for the reason `error`. */
  closeSessions(error: string): void {
    for (const session of this.#sessions.values()) session.close({ status: 125, error });
    this.#sessions.clear();
  }

  override close(): void {
    super.close();
    this.closeSessions(LOST);
  }
}
