/**
 * Client of a unix socket that may not exist yet, or may be restarted, and whose other side is not trusted: control port
 * and QMP.
 */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { MIB } from '../../lib/units.ts';

const RETRY_MS = 20;
/** Limit for the bytes that the other side has not read, besides the largest message. */
export const MAX_UNREAD_BYTES = MIB;

/** Uses of a {@link PeerSocket}. */
export interface PeerProtocol {
  /** Makes what is sent first on each new connection. */
  readonly greet: () => string | Buffer;
  /** Gets what has come, in any pieces. What it takes of a connection that has ended belongs to no other. */
  readonly onData: (data: Buffer) => void;
  /** Called when all that was sent has left this process. */
  readonly onDrain?: () => void;
  /**
   * Called once when the other side misuses the connection, which is closed for good.
   *
   * @param offence verb whose object is the port: `flooded`, `does not read`
   */
  readonly onOffence: (offence: string) => void;
}

/**
 * Connects as soon as the socket exists, and again whenever the connection ends, until closed. Connection errors are
 * ignored: the process of the other side tells whether it lives. Main thread.
 */
export class PeerSocket {
  readonly #path: string;
  readonly #protocol: PeerProtocol;
  #socket: Socket | null = null;
  #connected = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #unsent: Buffer[] = [];
  #largestBytes = 0;

  constructor(path: string, protocol: PeerProtocol) {
    this.#path = path;
    this.#protocol = protocol;
    this.#connect();
  }

  get isClosed(): boolean {
    return this.#closed;
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
    if (this.unreadBytes > MAX_UNREAD_BYTES + this.#largestBytes) this.offend('does not read');
    else if (this.#connected) this.#socket?.write(bytes);
    else this.#unsent.push(bytes);
  }

  /**
   * Resolves with true when the other side has closed the connection and all that it sent was taken, and with false without
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

  /** Closes the connection for good and reports the misuse, see {@link PeerProtocol.onOffence}. */
  offend(offence: string): void {
    if (this.#closed) return;
    this.close();
    this.#unsent = [];
    this.#protocol.onOffence(offence);
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    socket.on('connect', () => {
      this.#connected = true;
      // QEMU leaves the mode to its umask; until now the folder's mode kept other users away.
      chmod(this.#path, 0o600, () => {});
      for (const data of [this.#protocol.greet(), ...this.#unsent.splice(0)]) socket.write(data);
    });
    socket.on('data', (data) => this.#protocol.onData(data));
    socket.on('drain', () => this.#protocol.onDrain?.());
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
