import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { LineSocket } from '../../../src/vm/guest/line-socket.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer, type UnixServer } from '../../helpers/servers/unix-server.ts';

function connect(t: TestContext, server: UnixServer) {
  const lines: string[] = [];
  const socket = new LineSocket(server.path, 'hello\n', (line) => lines.push(line));
  t.after(() => socket.close());
  return { socket, lines, next: (count: number) => eventually(`${count} lines`, () => lines.length >= count && lines) };
}

test('what is sent before the socket exists goes out behind the greeting, in order', async (t) => {
  const server = await startUnixServer(t, { listening: false });
  const { socket } = connect(t, server);
  socket.send('one\n');
  socket.send('two\n');
  await server.listen();
  assert.equal(await server.received(0, 'two\n'), 'hello\none\ntwo\n');
});

test('a connection that ends is made again, with the greeting', async (t) => {
  const server = await startUnixServer(t);
  const { socket, next } = connect(t, server);
  for (let index = 0; index < 3; index += 1) {
    await server.received(index, 'hello\n');
    socket.send(`message ${index}\n`);
    await server.received(index, `hello\nmessage ${index}\n`);
    server.hangUp();
  }
  (await server.connection(3)).write('still heard\n');
  assert.deepEqual(await next(1), ['still heard']);
});

test('lines arrive whole however they were cut, and many at once one by one', async (t) => {
  const server = await startUnixServer(t);
  const { lines, next } = connect(t, server);
  const peer = await server.connection(0);
  const bytes = Buffer.from('grüße\nzwei\n\nvier\nnot yet');
  for (const byte of bytes) {
    peer.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  await next(4);
  assert.deepEqual(lines, ['grüße', 'zwei', '', 'vier']);
  peer.write(' but now\n');
  assert.equal((await next(5))[4], 'not yet but now');
});

test('what is left of a line when the connection ends belongs to no line of the next', async (t) => {
  const server = await startUnixServer(t);
  const { next } = connect(t, server);
  (await server.connection(0)).end('half a li');
  (await server.connection(1)).write('whole\n');
  assert.deepEqual(await next(1), ['whole']);
});

test('a line without end is dropped, and the next one is heard', async (t) => {
  const server = await startUnixServer(t);
  const { next, lines } = connect(t, server);
  const peer = await server.connection(0);
  for (let part = 0; part < 50; part += 1) {
    await new Promise<void>((resolve) => peer.write('x'.repeat(100_000), () => resolve()));
  }
  peer.write('\nready\n');
  await eventually('the next line', () => lines.at(-1) === 'ready');
  const [rest] = await next(2);
  assert.ok(rest!.length <= 200_000, `${rest!.length} characters were kept`);
});

test('who waits for the end has heard everything', async (t) => {
  const server = await startUnixServer(t, { listening: false });
  const { socket, lines } = connect(t, server);
  assert.equal(await socket.ended(), false, 'there is nobody to wait for');
  await server.listen();
  await server.received(0, 'hello\n');
  const ended = socket.ended();
  (await server.connection(0)).end('last words\n'.repeat(10_000));
  assert.equal(await ended, true);
  assert.equal(lines.length, 10_000);
});

test('a closed client connects no more and hears nothing more', async (t) => {
  const server = await startUnixServer(t);
  const { socket, lines } = connect(t, server);
  const peer = await server.connection(0);
  socket.close();
  peer.write('too late\n');
  await eventually('the end', () => peer.destroyed || peer.readableEnded);
  const other = connect(t, server);
  await server.received(1, 'hello\n');
  (await server.connection(1)).write('for the other\n');
  await other.next(1);
  assert.deepEqual(lines, []);
  assert.equal(server.connections.length, 2);
});
