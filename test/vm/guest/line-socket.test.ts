import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Rate } from '../../../src/lib/token-bucket.ts';
import { LineSocket } from '../../../src/vm/guest/line-socket.ts';
import { MAX_UNREAD_BYTES } from '../../../src/vm/guest/peer-socket.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer, type UnixServer } from '../../helpers/servers/unix-server.ts';

const GENEROUS: Rate = { burst: 100_000, perSecond: 1 };

function connect(t: TestContext, server: UnixServer, rate = GENEROUS) {
  const lines: string[] = [];
  const offences: string[] = [];
  const onLine = (line: string) => lines.push(line);
  const onOffence = (offence: string) => offences.push(offence);
  const socket = new LineSocket(server.path, { greeting: 'hello\n', lines: rate, onLine, onOffence });
  t.after(() => socket.close());
  return {
    socket,
    lines,
    offences,
    next: (count: number) => eventually(`${count} lines`, () => lines.length >= count && lines),
  };
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
  for (let part = 0; part < 10; part += 1) {
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

test('a side that sends more lines than it may is cut off at once, and heard no more', async (t) => {
  const server = await startUnixServer(t);
  const { lines, offences } = connect(t, server, { burst: 5, perSecond: 0.001 });
  const peer = await server.connection(0);
  for (let line = 1; line <= 5; line += 1) peer.write(`${line}\n`);
  await eventually('what it may send', () => lines.length === 5);
  assert.deepEqual(offences, []);
  peer.write('6\n');
  await eventually('the offence', () => offences.length > 0);
  await eventually('the end', () => peer.destroyed);
  assert.deepEqual([offences, lines.length, server.connections.length], [['flooded'], 5, 1]);
});

test('a side that sends bytes without lines is cut off', async (t) => {
  const server = await startUnixServer(t);
  const { lines, offences } = connect(t, server);
  const peer = await server.connection(0);
  peer.on('error', () => {});
  peer.write(Buffer.alloc(8 * 2 ** 20, 'x'));
  await eventually('the offence', () => offences.length > 0);
  assert.deepEqual([offences, lines], [['flooded'], []]);
});

test('what a side does not read is bounded, connected or not, but for one large message', async (t) => {
  const server = await startUnixServer(t, { listening: false });
  const deaf = connect(t, server);
  const message = Buffer.alloc(64 * 1024, 'x');
  const job = Buffer.alloc(8 * 2 ** 20, 'j');
  await server.listen();
  (await server.connection(0)).pause();
  deaf.socket.send(job);
  assert.ok(deaf.socket.unreadBytes > MAX_UNREAD_BYTES, 'the job waits');
  assert.deepEqual(deaf.offences, []);
  for (let sent = 0; sent < 1000; sent += 1) deaf.socket.send(message);
  assert.deepEqual(deaf.offences, ['does not read']);
  assert.ok(deaf.socket.unreadBytes < 2 * job.length + MAX_UNREAD_BYTES, `${deaf.socket.unreadBytes} bytes wait`);

  server.close();
  const { socket, offences } = connect(t, server);
  for (let sent = 0; sent < 1000; sent += 1) socket.send(message);
  assert.deepEqual([offences, socket.unreadBytes], [['does not read'], 0]);
});
