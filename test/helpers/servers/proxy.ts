/** A proxy as companies have them: tunnels by CONNECT, plain HTTP by whole URLs, and Basic credentials where wanted. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { defer } from '../temp.ts';

/** A running proxy. Whatever name it is asked for is this host's. */
interface TestProxy {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** `CONNECT name:port` or `GET http://…` of each request, in order. */
  readonly requests: string[];
}

/**
 * Starts a proxy that ends with the test.
 *
 * @param credentials `user:password`, without which it answers with 407
 */
export async function startProxy(t: TestContext, credentials?: string): Promise<TestProxy> {
  const requests: string[] = [];
  const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
  const isWelcome = ({ headers }: IncomingMessage) => headers['proxy-authorization'] === wanted;
  const sockets = new Set<Duplex>();

  const forward = (incoming: IncomingMessage, response: ServerResponse): void => {
    requests.push(`${incoming.method} ${incoming.url}`);
    if (!isWelcome(incoming)) {
      response.writeHead(407).end();
      return;
    }
    const { port, pathname, search } = new URL(incoming.url!);
    const { method, headers } = incoming;
    const outgoing = request({ host: '127.0.0.1', port, path: `${pathname}${search}`, method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(outgoing);
  };
  const server = createServer(forward).on('connect', (incoming, socket) => {
    requests.push(`CONNECT ${incoming.url}`);
    if (!isWelcome(incoming)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const peer = connect(Number(incoming.url!.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(peer).pipe(socket);
    });
    for (const end of [socket, peer]) {
      sockets.add(end);
      end.on('error', () => {});
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
