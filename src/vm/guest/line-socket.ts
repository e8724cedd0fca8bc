/** Client of a line protocol on a unix socket that may not exist yet, or may be restarted: control port and QMP. */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';

const RETRY_MS = 20;
/** Limit for an unfinished line, which is dropped: the other side is not trusted. */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * Connects as soon as the socket exists, and again whenever the connection ends, until closed. Connection errors are
 * ignored: the process of the other side tells whether it lives. Main thread.
 */
export class LineSocket {
  readonly #path: string;
  readonly #greeting: string;
  readonly #onLine: (line: string) => void;
  #socket: Socket | null = null;
  #connected = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #unsent: (string | Uint8Array)[] = [];

  /** @param greeting sent first on each new connection */
  constructor(path: string, greeting: string, onLine: (line: string) => void) {
    this.#path = path;
    this.#greeting = greeting;
    this.#onLine = onLine;
    this.#connect();
  }

  /** Sends now, or right after the greeting of the next connection. */
  send(data: string | Uint8Array): void {
    if (this.#connected) this.#socket?.write(data);
    else this.#unsent.push(data);
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

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    let pending = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#connected = true;
      // QEMU leaves the mode to its umask; until now the folder's mode kept other users away.
      chmod(this.#path, 0o600, () => {});
      for (const data of [this.#greeting, ...this.#unsent.splice(0)]) socket.write(data);
    });
    socket.on('data', (text: string) => {
      const lines = (pending + text).split('\n');
      pending = lines.pop() ?? '';
      if (pending.length > MAX_LINE_BYTES) pending = '';
      for (const line of lines) this.#onLine(line);
    });
    socket.on('error', () => {
      // 'close' follows and tries again.
    });
    socket.on('close', () => {
      this.#connected = false;
      if (!this.#closed) this.#timer = setTimeout(() => this.#connect(), RETRY_MS);
    });
  }
}
