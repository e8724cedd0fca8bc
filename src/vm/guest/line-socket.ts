/**
 * Client of a line-based protocol on a Unix socket that may not exist yet or may be restarted: control port and QMP.
 */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Rate, TokenBucket } from '../../lib/token-bucket.ts';
import { KIB, MIB } from '../../lib/units.ts';

const RETRY_MS = 20;
/** Limit for an unfinished line; a longer one is dropped, because the other side is not trusted. */
const MAX_LINE_BYTES = 64 * KIB;
/** Limit on incoming bytes: a few lines a second are usual. */
const INCOMING_BYTES: Rate = { burst: 2 * MIB, perSecond: 128 * KIB };
/** Limit for bytes that the other side has not read, in addition to the largest message. */
export const MAX_UNREAD_BYTES = MIB;

/** Settings of a {@link LineSocket}. */
export interface LineProtocol {
  /** Sent first on each new connection. */
  readonly greeting: string;
  /** Limit on incoming lines. */
  readonly lines: Rate;
  /** Receives each line without its line ending. */
  readonly onLine: (line: string) => void;
  /**
   * Called once if the other side sends too much or leaves too much unread; the connection is then closed permanently.
   *
   * @param offence verb whose object is the port: `flooded` or `does not read`
   */
  readonly onOffence: (offence: string) => void;
}

/**
 * Connects as soon as the socket exists, and again whenever the connection ends, until closed. Connection errors are
 * ignored: the process of the other side shows whether it is alive. Main thread.
 */
export class LineSocket {
  readonly #path: string;
  readonly #protocol: LineProtocol;
  readonly #lines: TokenBucket;
  readonly #bytes = new TokenBucket(INCOMING_BYTES);
  #socket: Socket | null = null;
  #connected = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #unsent: Buffer[] = [];
  #largestBytes = 0;

  constructor(path: string, protocol: LineProtocol) {
    this.#path = path;
    this.#protocol = protocol;
    this.#lines = new TokenBucket(protocol.lines);
    this.#connect();
  }

  /** Bytes that were sent but not read by the other side, apart from some 200 KB in the kernel's buffer. */
  get unreadBytes(): number {
    const waiting = this.#unsent.reduce((sum, { length }) => sum + length, 0);
    return waiting + (this.#socket?.writableLength ?? 0);
  }

  /** Sends data now, or right after the greeting of the next connection. */
  send(data: string | Buffer): void {
    if (this.#closed) return;
    const bytes = Buffer.from(data);
    this.#largestBytes = Math.max(this.#largestBytes, bytes.length);
    if (this.unreadBytes > MAX_UNREAD_BYTES + this.#largestBytes) this.#offend('does not read');
    else if (this.#connected) this.#socket?.write(bytes);
    else this.#unsent.push(bytes);
  }

  /**
   * Resolves with true when the other side has closed the connection and all its lines have been handled, and with
   * false if there is no connection. Only for a dead process: the connection to a living one would be re-established.
   */
  ended(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#connected) this.#socket?.once('close', () => resolve(true));
      else resolve(false);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #offend(offence: string): void {
    this.close();
    this.#unsent = [];
    this.#protocol.onOffence(offence);
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    let pending = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#connected = true;
      // QEMU applies its umask to the socket; until now the mode of the folder kept other users away.
      chmod(this.#path, 0o600, () => {});
      for (const data of [this.#protocol.greeting, ...this.#unsent.splice(0)]) socket.write(data);
    });
    socket.on('data', (text: string) => {
      const lines = (pending + text).split('\n');
      pending = lines.pop() ?? '';
      if (pending.length > MAX_LINE_BYTES) pending = '';
      if (!this.#bytes.take(text.length) || !this.#lines.take(lines.length)) this.#offend('flooded');
      // Handling a line may close the connection.
      for (const line of lines) if (!this.#closed) this.#protocol.onLine(line);
    });
    socket.on('error', () => {
      // 'close' follows and triggers a retry.
    });
    socket.on('close', () => {
      this.#connected = false;
      if (!this.#closed)
        // VMs outlive their daemon: looking for one must not keep the process alive.
        this.#timer = setTimeout(() => this.#connect(), RETRY_MS).unref();
    });
  }
}
