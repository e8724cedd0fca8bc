/** A UDP port of the host. */
import { createSocket, type Socket } from 'node:dgram';
import { errorCode } from '../../src/lib/errors.ts';
import type { UdpForward } from '../../src/protocol/network.ts';

const RETRY_MS = 1000;

/** Bytes that the kernel did not take yet, beyond which answers are dropped. */
const MAX_UNSENT_BYTES = 256 * 1024;

/** What becomes of a port. */
export interface HostPortHandlers {
  /** Only valid during the call. */
  readonly onDatagram: (payload: Buffer, address: string, port: number) => void;
  /** It is open, or closed and why: when it was tried for the first time, and at each change. */
  readonly onState: (error: string | null) => void;
  /** A datagram could not be sent. */
  readonly onUnsent: () => void;
}

/** Opened as soon as it is free, until closed. */
export class HostPort {
  readonly forward: UdpForward;
  /** Tells the ports of a VM apart. */
  readonly id: number;
  readonly #handlers: HostPortHandlers;
  #socket: Socket;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** What was told last. */
  #error: string | null | undefined;

  constructor(id: number, forward: UdpForward, handlers: HostPortHandlers) {
    this.id = id;
    this.forward = forward;
    this.#handlers = handlers;
    this.#socket = this.#open();
  }

  /** Sends a copy. */
  send(payload: Buffer, address: string, port: number): void {
    if (this.#error !== null) return;
    if (this.#socket.getSendQueueSize() > MAX_UNSENT_BYTES) {
      this.#handlers.onUnsent();
      return;
    }
    this.#socket.send(Buffer.from(payload), port, address, (error) => {
      if (error && !this.#closed) this.#handlers.onUnsent();
    });
  }

  /** Frees the port before it returns. */
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
      // Who sends from port 0 wants no answer, RFC 768; and there is none that could be sent.
      if (port !== 0) this.#handlers.onDatagram(payload, from, port);
    });
    socket.on('error', (error) => {
      this.#release(socket);
      if (this.#closed) return;
      this.#tell(errorCode(error) === 'EADDRINUSE' ? 'another program has it' : error.message);
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
      // It is closed already.
    }
  }

  #tell(error: string | null): void {
    if (error === this.#error) return;
    this.#error = error;
    this.#handlers.onState(error);
  }
}
