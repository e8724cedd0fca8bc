/** A client of a line protocol on a unix socket that may not exist yet, or may be restarted: control port and QMP. */
import { chmod } from 'node:fs';
import { connect, type Socket } from 'node:net';

const RETRY_MS = 20;
/** The other side is not trusted: an unfinished line longer than this is dropped. */
const MAX_LINE_BYTES = 64 * 1024;

/** What becomes of a connection and its lines. */
export interface LineHandlers {
  /** Called for each new connection, the first included, before anything else is sent. */
  readonly onConnect?: (send: (text: string) => void) => void;
  readonly onLine: (line: string) => void;
}

/**
 * Connects as soon as the socket exists and again whenever the connection ends, until closed. Connection errors are no
 * errors here: whether the other side lives is known from its process. Main thread.
 */
export class LineSocket {
  readonly #path: string;
  readonly #handlers: LineHandlers;
  #socket: Socket | null = null;
  #connected = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #unsent: (string | Uint8Array)[] = [];

  constructor(path: string, handlers: LineHandlers) {
    this.#path = path;
    this.#handlers = handlers;
    this.#connect();
  }

  /** Sends now, or right after the next connection's `onConnect`. */
  send(data: string | Uint8Array): void {
    if (this.#connected) this.#socket?.write(data);
    else this.#unsent.push(data);
  }

  /**
   * Resolves when the other side has ended the connection and all that it sent was heard; with false when there is none.
   * For one that is dead: it would come back otherwise.
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
      // QEMU leaves the mode to its umask; that nobody else gets this far is the folder's doing.
      chmod(this.#path, 0o600, () => {});
      this.#handlers.onConnect?.((text) => socket.write(text));
      for (const data of this.#unsent.splice(0)) socket.write(data);
    });
    socket.on('data', (text: string) => {
      const lines = (pending + text).split('\n');
      pending = lines.pop() ?? '';
      if (pending.length > MAX_LINE_BYTES) pending = '';
      for (const line of lines) this.#handlers.onLine(line);
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
