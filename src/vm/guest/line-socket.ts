/** Client of a line protocol on a unix socket that may not exist yet, or may be restarted: control port and QMP. */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Rate, TokenBucket } from '../../lib/token-bucket.ts';
import { KIB, MIB } from '../../lib/units.ts';

const RETRY_MS = 20;
/** Limit for an unfinished line, which is dropped: the other side is not trusted. */
const MAX_LINE_BYTES = 64 * KIB;
/** Bytes that may come: a few lines a second are usual. */
const INCOMING_BYTES: Rate = { burst: 2 * MIB, perSecond: 128 * KIB };
/** Limit for the bytes that the other side has not read, besides the largest message. */
export const MAX_UNREAD_BYTES = MIB;

/** Settings of a {@link LineSocket}. */
export interface LineProtocol {
  /** Sent first on each new connection. */
  readonly greeting: string;
  /** Lines that may come. */
  readonly lines: Rate;
  /** Gets each line without its end. */
  readonly onLine: (line: string) => void;
  /**
   * Called once when the other side sends or leaves unread more than it may; the connection is closed for good.
   *
   * @param offence verb whose object is the port: `flooded` or `does not read`
   */
  readonly onOffence: (offence: string) => void;
}

/**
 * Connects as soon as the socket exists, and again whenever the connection ends, until closed. Connection errors are
 * ignored: the process of the other side tells whether it lives. Main thread.
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

  /** Bytes that were sent and that the other side has not read. The kernel's buffer, some 200 KB, is not counted. */
  get unreadBytes(): number {
    const waiting = this.#unsent.reduce((sum, { length }) => sum + length, 0);
    return waiting + (this.#socket?.writableLength ?? 0);
  }

  /** Sends now, or right after the greeting of the next connection. */
  send(data: string | Buffer): void {
    if (this.#closed) return;
    const bytes = Buffer.from(data);
    this.#largestBytes = Math.max(this.#largestBytes, bytes.length);
    if (this.unreadBytes > MAX_UNREAD_BYTES + this.#largestBytes) this.#offend('does not read');
    else if (this.#connected) this.#socket?.write(bytes);
    else this.#unsent.push(bytes);
  }

  /**
   * Resolves with true when the other side has closed the connection and all its lines were taken, and with false without
   * a connection. For a dead process only: the connection to a living one would come back.
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
      // QEMU leaves the mode to its umask; until now the folder's mode kept other users away.
      chmod(this.#path, 0o600, () => {});
      for (const data of [this.#protocol.greeting, ...this.#unsent.splice(0)]) socket.write(data);
    });
    socket.on('data', (text: string) => {
      const lines = (pending + text).split('\n');
      pending = lines.pop() ?? '';
      if (pending.length > MAX_LINE_BYTES) pending = '';
      if (!this.#bytes.take(text.length) || !this.#lines.take(lines.length)) this.#offend('flooded');
      // A line may close the connection.
      for (const line of lines) if (!this.#closed) this.#protocol.onLine(line);
    });
    socket.on('error', () => {
      // 'close' follows and tries again.
    });
    socket.on('close', () => {
      this.#connected = false;
      if (!this.#closed)
        // VMs outlive their daemon: to look for one keeps no process alive.
        this.#timer = setTimeout(() => this.#connect(), RETRY_MS).unref();
    });
  }
}
