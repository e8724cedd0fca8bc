import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { NetworkProber } from '../../../workers/metrics/health-probes.ts';

const LONG_MS = 60_000;

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

function startHttp(t: TestContext, listener: RequestListener): Promise<number> {
  return listen(t, createHttpServer(listener));
}

/** A server that does with each connection what the test says; they are ended with the test. */
function startTcp(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  return listen(
    t,
    createServer((socket) => {
      t.after(() => socket.destroy());
      socket.on('error', () => {});
      onSocket(socket);
    }),
  );
}

/** A port on which nobody listens. */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function ask(port: number, path: string | null = null, timeoutMs = LONG_MS) {
  return new NetworkProber().probe(1, path === null ? { type: 'tcp', port } : { type: 'http', port, path }, timeoutMs);
}

test('a port that accepts is a success; one where nobody listens is refused', async (t) => {
  assert.deepEqual(await ask(await startTcp(t, () => {})), { ok: true, detail: 'connected' });
  const closed = await findFreePort();
  assert.deepEqual(await ask(closed), { ok: false, detail: 'connection refused' });
  assert.deepEqual(await ask(closed, '/'), { ok: false, detail: 'connection refused' });
});

test('a connection is closed when the probe has answered', async (t) => {
  let onClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const port = await startTcp(t, (socket) => socket.resume().once('close', () => onClosed()));
  assert.equal((await ask(port))?.ok, true);
  await closed;
});

test('statuses from 200 to 399 are a success', async (t) => {
  const port = await startHttp(t, (request, response) => response.writeHead(Number(request.url!.slice(1))).end());
  for (const status of [200, 204, 301, 399]) {
    assert.deepEqual(await ask(port, `/${status}`), { ok: true, detail: `status ${status}` });
  }
  for (const status of [400, 404, 500, 503]) {
    assert.deepEqual(await ask(port, `/${status}`), { ok: false, detail: `status ${status}` });
  }
});

test('the question is a GET of that path, on a connection of its own, and a redirection is not followed', async (t) => {
  const seen: unknown[] = [];
  const port = await startHttp(t, ({ method, url, headers }, response) => {
    seen.push([method, url, headers.connection]);
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  assert.equal((await ask(port, '/health?deep=1'))?.ok, true);
  assert.deepEqual(seen, [['GET', '/health?deep=1', 'close']]);
});

test('a body that never ends is not waited for, and its connection is closed', async (t) => {
  let onClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const port = await startHttp(t, (_request, response) => {
    response.once('close', () => onClosed());
    response.writeHead(200).write('x'.repeat(1000));
  });
  assert.deepEqual(await ask(port, '/'), { ok: true, detail: 'status 200' });
  await closed;
});

test('a server that says nothing, or never all of it, is cut off in time', async (t) => {
  const silent = await startTcp(t, () => {});
  assert.equal(await ask(silent, '/', 100), null);
  const slow = await startTcp(t, (socket) => socket.write('HTTP/1.1 200 O'));
  assert.equal(await ask(slow, '/', 500), null);
});

test('what is no HTTP, too much of it, or nothing at all is a failure', async (t) => {
  const other = await startTcp(t, (socket) => socket.end('220 mail.example ESMTP\r\n'));
  assert.match((await ask(other, '/'))!.detail, /^not an HTTP response: /);
  const endless = await startTcp(t, (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1_000_000)}`));
  assert.match((await ask(endless, '/'))!.detail, /^not an HTTP response: /);
  const closing = await startTcp(t, (socket) => socket.destroy());
  assert.deepEqual(await ask(closing, '/'), { ok: false, detail: 'connection closed without an answer' });
});

test('a probe that is cancelled answers at once; the others go on', async (t) => {
  const sockets: Socket[] = [];
  let onSecond = () => {};
  const second = new Promise<void>((resolve) => {
    onSecond = resolve;
  });
  const port = await startTcp(t, (socket) => {
    sockets.push(socket);
    if (sockets.length === 2) onSecond();
  });
  const prober = new NetworkProber();
  const cancelled = prober.probe(1, { type: 'http', port, path: '/' }, LONG_MS);
  const other = prober.probe(2, { type: 'http', port, path: '/' }, LONG_MS);
  await second;
  prober.cancel(1);
  prober.cancel(99);
  assert.deepEqual(await cancelled, { ok: false, detail: 'cancelled' });
  for (const socket of sockets) if (!socket.destroyed) socket.end('HTTP/1.0 200 OK\r\n\r\n');
  assert.deepEqual(await other, { ok: true, detail: 'status 200' });
  prober.cancel(2);
});
