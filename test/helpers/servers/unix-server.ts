/** The other end of a line protocol: a unix socket that a test speaks on by hand. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../eventually.ts';
import { makeTempDir } from '../temp.ts';

/** A server that takes one connection after the other. */
export class UnixServer {
  readonly path: string;
  /** Each connection so far. */
  readonly connections: Socket[] = [];
  readonly #server: Server;
  readonly #received: string[] = [];

  /** @param encoding of what comes; `latin1` keeps bytes apart */
  constructor(path: string, encoding: BufferEncoding = 'utf8') {
    this.path = path;
    this.#server = createServer((socket) => {
      const index = this.connections.push(socket) - 1;
      this.#received.push('');
      socket.setEncoding(encoding);
      socket.on('data', (text: string) => {
        this.#received[index] += text;
      });
      socket.on('error', () => {});
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(this.path);
    await once(this.#server, 'listening');
  }

  /** The connection with that number, from 0 on, once it is there. */
  connection(index: number): Promise<Socket> {
    return eventually(`connection ${index}`, () => this.connections[index]);
  }

  /** Resolves with the received text once it ends with `end`. */
  received(index: number, end: string): Promise<string> {
    return eventually(JSON.stringify(end), () => this.#received[index]?.endsWith(end) && this.#received[index]);
  }

  /** Text received over a connection so far. */
  text(index: number): string | undefined {
    return this.#received[index];
  }

  /** Ends every connection; new ones are taken. */
  hangUp(): void {
    for (const socket of this.connections) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.hangUp();
  }
}

/** A server on a path of its own; listens at once unless told otherwise. */
export async function startUnixServer(
  t: TestContext,
  { listening = true, encoding = 'utf8' as BufferEncoding } = {},
): Promise<UnixServer> {
  const server = new UnixServer(join(await makeTempDir(t), 'socket'), encoding);
  t.after(() => server.close());
  if (listening) await server.listen();
  return server;
}
