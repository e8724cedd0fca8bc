/** A session with the agent of a guest: a command beside the job, or a connection with an address of the guest. */
import { Readable, Writable } from 'node:stream';
import { deferred } from '../../lib/promises.ts';
import { KIB } from '../../lib/units.ts';
import { FRAME_COST, INITIAL_CREDIT, MAX_BODY_BYTES } from './agent/protocol.ts';
import { type Frame, renderMessage } from './agent-frames.ts';

/** Credit that is granted at once: a frame for less would cost more than it carries. */
const MIN_GRANT = INITIAL_CREDIT / 4;
/** Bytes on their way to all sessions of a guest above which no input is added. */
const MAX_UNREAD_BYTES = 256 * KIB;

/** End of a session. */
export interface SessionEnd {
  /** Status of the command as shells count it; 125, 126 or 127 where it was not run, 125 where the guest was lost. */
  readonly status: number;
  /** Reason why there is no status of a command, for people; null where there is one. */
  readonly error: string | null;
}

/** Connection that carries a session. */
export interface SessionCarrier {
  readonly unreadBytes: number;
  send(data: Buffer): void;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Stream from the guest, which grants credit as it is read. */
class SessionOutput extends Readable {
  readonly #onRead: () => void;

  constructor(onRead: () => void) {
    super({ highWaterMark: INITIAL_CREDIT });
    this.#onRead = onRead;
  }

  override _read(): void {
    this.#onRead();
  }
}

/** The streams of a session, with credit in both directions. Main thread. */
export class AgentSession {
  readonly stdin: Writable;
  readonly stdout: Readable = new SessionOutput(() => this.#grant());
  /** Empty for a terminal and for a connection. */
  readonly stderr: Readable = new SessionOutput(() => this.#grant());
  /** Resolves with null when the command runs or the connection is made, else with the end. */
  readonly opened: Promise<SessionEnd | null>;
  /** Resolves when all output has come. */
  readonly ended: Promise<SessionEnd>;

  readonly #carrier: SessionCarrier;
  readonly #number: number;
  readonly #opened = deferred<SessionEnd | null>();
  readonly #ended = deferred<SessionEnd>();
  /** Bytes that the guest takes. */
  #inputCredit = INITIAL_CREDIT;
  /** Bytes of input that the guest has not granted anew. */
  #inFlight = 0;
  #waiting: { rest: Buffer; done: () => void } | null = null;
  /** Bytes that the guest may send. */
  #outputCredit = INITIAL_CREDIT;
  /** Bytes that have come and were not granted anew. */
  #taken = 0;
  #isOpen = true;

  constructor(carrier: SessionCarrier, number: number) {
    this.#carrier = carrier;
    this.#number = number;
    this.opened = this.#opened.promise;
    this.ended = this.#ended.promise;
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#waiting = { rest: chunk, done };
        this.sendInput();
      },
      final: (done) => {
        this.#send('input-end');
        done();
      },
    });
    // Input that comes too late has nobody to take it.
    this.stdin.on('error', () => {});
  }

  /** New size of the terminal. */
  resize(columns: number, rows: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(columns, 0);
    size.writeUInt16LE(rows, 2);
    this.#send('resize', size);
  }

  /** @param signal its number */
  signal(signal: number): void {
    this.#send('session-signal', Buffer.of(signal));
  }

  /** Kills the command, or closes the connection. */
  abort(): void {
    this.#send('abort');
  }

  /** Sends input that waits, as far as the guest takes it. */
  sendInput(): void {
    while (this.#waiting && this.#isOpen && this.#carrier.unreadBytes <= MAX_UNREAD_BYTES) {
      const { rest, done } = this.#waiting;
      const bytes = Math.min(rest.length, MAX_BODY_BYTES, this.#inputCredit - FRAME_COST);
      if (bytes <= 0 && rest.length > 0) return;
      if (bytes > 0) this.#send('input', rest.subarray(0, bytes));
      this.#inputCredit -= bytes + FRAME_COST;
      this.#inFlight += bytes + FRAME_COST;
      this.#waiting = bytes < rest.length ? { rest: rest.subarray(bytes), done } : null;
      if (!this.#waiting) done();
    }
  }

  /** Takes a frame of the guest, which is not trusted; returns false for one that it must not send. */
  take({ type, body }: Frame): boolean {
    switch (type) {
      case 'opened':
        this.#opened.resolve(null);
        return true;
      case 'output':
      case 'errors':
        this.#outputCredit -= body.length + FRAME_COST;
        if (this.#outputCredit < 0) return false;
        this.#taken += body.length + FRAME_COST;
        // The frame's memory is that of the next one, too.
        (type === 'output' ? this.stdout : this.stderr).push(Buffer.from(body));
        return true;
      case 'credit': {
        const granted = body.length === 4 ? body.readUInt32LE() : Number.POSITIVE_INFINITY;
        if (granted === 0 || granted > this.#inFlight) return false;
        this.#inFlight -= granted;
        this.#inputCredit += granted;
        this.sendInput();
        return true;
      }
      case 'refused':
        this.close({ status: body[0] ?? 125, error: body.toString('utf8', 1).slice(0, 1000) });
        return true;
      case 'ended':
        this.close({ status: body[0] ?? 125, error: null });
        return true;
      case 'probed':
        // The answer to an abort that crossed the end.
        return true;
      default:
        return false;
    }
  }

  /** Ends the session; the guest says so, or is gone. */
  close(end: SessionEnd): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.stdout.push(null);
    this.stderr.push(null);
    this.stdin.destroy();
    this.#opened.resolve(end.error === null ? null : end);
    this.#ended.resolve(end);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  #grant(): void {
    if (!this.#isOpen || this.#taken < MIN_GRANT) return;
    this.#outputCredit += this.#taken;
    this.#send('credit', u32(this.#taken));
    this.#taken = 0;
  }

  #send(type: Parameters<typeof renderMessage>[0], body?: Uint8Array): void {
    if (this.#isOpen) this.#carrier.send(renderMessage(type, this.#number, body));
  }
}
