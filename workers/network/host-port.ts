/** A UDP port of the host. */
import { createSocket, type Socket } from 'node:dgram';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import type { UdpForward } from '../../src/protocol/network.ts';

const RETRY_MS = 1000;

/** Number of unsent bytes in the kernel's queue above which answers are dropped. */
const MAX_UNSENT_BYTES = 256 * 1024;

interface HostPortHandlers {
  /** Receives a datagram; the payload is valid only during the call. */
  readonly onDatagram: (payload: Buffer, address: string, port: number) => void;
  /** Called after the first attempt and at each change of {@link HostPort.error}. */
  readonly onState: () => void;
  readonly onUnsent: () => void;
}

/** UDP port that opens as soon as it is free and stays open until closed. */
export class HostPort {
  readonly forward: UdpForward;
  readonly id: number;
  readonly #handlers: HostPortHandlers;
  #socket: Socket;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Reason why the port is closed; null if it is open, undefined before the first attempt. */
  error: string | null | undefined;

  constructor(id: number, forward: UdpForward, handlers: HostPortHandlers) {
    this.id = id;
    this.forward = forward;
    this.#handlers = handlers;
    this.#socket = this.#open();
  }

  /** Sends a copy of the payload. */
  send(payload: Buffer, address: string, port: number): void {
    if (this.error !== null) return;
    if (this.#socket.getSendQueueSize() > MAX_UNSENT_BYTES) {
      this.#handlers.onUnsent();
      return;
    }
    this.#socket.send(Buffer.from(payload), port, address, (error) => {
      if (error && !this.#closed) this.#handlers.onUnsent();
    });
  }

  /** Closes the port, which is free on return. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#release(this.#socket);
  }

  #open(): Socket {
    const { address, host } = this.forward;
    const socket = createSocket('udp4');
    socket.on('listening', () => this.#tell(null));
    socket.on('message', (payload, { address: from, port }) => {
      // Source port 0 means that no answer is expected or possible, RFC 768.
      if (port !== 0) this.#handlers.onDatagram(payload, from, port);
    });
    socket.on('error', (error) => {
      this.#release(socket);
      if (this.#closed) return;
      this.#tell(errorCode(error) === 'EADDRINUSE' ? 'another program uses it' : errorText(error));
      this.#timer = setTimeout(() => {
        this.#socket = this.#open();
      }, RETRY_MS);
    });
    socket.bind({ address, port: host, exclusive: true });
    return socket;
  }

  #release(socket: Socket): void {
    socket.removeAllListeners().on('error', () => {});
    try {
      socket.close();
    } catch {
      // The socket is already closed.
    }
  }

  #tell(error: string | null): void {
    if (error === this.error) return;
    this.error = error;
    this.#handlers.onState();
  }
}
