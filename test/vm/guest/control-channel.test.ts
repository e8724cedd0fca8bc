import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import {
  FRAME_COST,
  FRAME_TYPES,
  type FrameType,
  GENERATION,
  HEAD_BYTES,
  INITIAL_CREDIT,
  MAX_BODY_BYTES,
  NONCE_BYTES,
  RESYNC_BYTES,
} from '../../../src/vm/guest/agent/protocol.ts';
import { AgentFrameReader, renderMessage } from '../../../src/vm/guest/agent-frames.ts';
import { ControlChannel, type GuestMessage, readGuestMessage } from '../../../src/vm/guest/control-channel.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer } from '../../helpers/servers/unix-server.ts';

const read = (type: FrameType, body: Buffer | string = '', session = 0) =>
  readGuestMessage({ type, session, body: Buffer.from(body) });

test('the messages of an agent are understood', () => {
  assert.deepEqual(read('ready'), { type: 'ready' });
  assert.deepEqual(read('running'), { type: 'running' });
  assert.deepEqual(read('started'), { type: 'started' });
  assert.deepEqual(read('failed', 'command not found: x'), { type: 'failed', reason: 'command not found: x' });
  assert.deepEqual(read('failed'), { type: 'failed', reason: 'the guest gave no reason' });
  assert.deepEqual(read('exited', Buffer.of(143, 0)), { type: 'exit', code: 143, oomKilled: false });
  assert.deepEqual(read('exited', Buffer.of(137, 1)), { type: 'exit', code: 137, oomKilled: true });
  const answer = { status: 0, text: 'HTTP/1.1 200 OK\r' };
  assert.deepEqual(read('probed', `\0${answer.text}`, 9), { type: 'probed', session: 9, answer });
});

test('anything else that an agent says means nothing, and its texts are cut to one line that is not long', () => {
  for (const message of [read('exited'), read('exited', 'x'), read('exited', 'xyz'), read('probed'), read('hello')])
    assert.equal(message, null);
  const failed = read('failed', 'y'.repeat(6000));
  const probed = read('probed', `\x01${'y'.repeat(6000)}`);
  assert.ok(failed?.type === 'failed' && failed.reason.length === 1000);
  assert.ok(probed?.type === 'probed' && probed.answer.text.length === 1000);
  assert.deepEqual(read('failed', 'one\ntwo'), { type: 'failed', reason: 'one' });
});

/** The daemon's end, and an agent that speaks to it by hand. */
async function open(t: TestContext) {
  const server = await startUnixServer(t, { encoding: 'latin1' });
  const messages: GuestMessage[] = [];
  const offences: string[] = [];
  const control = new ControlChannel(
    server.path,
    (message) => messages.push(message),
    (offence) => offences.push(offence),
  );
  t.after(() => control.close());
  /** Waits for the hello of a connection; returns the answer to it. */
  const answerTo = async (connection: number, generation = GENERATION): Promise<Buffer> => {
    const bytes = RESYNC_BYTES + HEAD_BYTES + 2 + NONCE_BYTES + 1;
    const said = await eventually('the hello', async () => {
      const all = Buffer.from(server.text(connection) ?? '', 'latin1');
      return all.length >= bytes && all;
    });
    assert.ok(said.subarray(0, RESYNC_BYTES).every((byte) => byte === 0));
    const hello = said.subarray(RESYNC_BYTES + HEAD_BYTES, bytes - 1);
    assert.equal(hello.readUInt16LE(), GENERATION);
    const own = Buffer.alloc(2);
    own.writeUInt16LE(generation);
    return renderMessage('hello-answer', 0, Buffer.concat([hello.subarray(2), own]));
  };
  return { server, messages, offences, control, answerTo };
}

test('what comes before the answer to the hello belongs to an earlier daemon', async (t) => {
  const { server, messages, offences, answerTo } = await open(t);
  const answer = await answerTo(0);
  const peer = await server.connection(0);
  peer.write(Buffer.concat([renderMessage('started'), Buffer.alloc(300_000, 0xff), answer.subarray(0, 11)]));
  await new Promise(setImmediate);
  peer.write(Buffer.concat([answer.subarray(11), renderMessage('ready'), renderMessage('started').subarray(0, 3)]));
  await eventually('the state', () => messages.length === 1);
  server.hangUp();
  const next = await answerTo(1);
  assert.notDeepEqual(next, answer);
  const old = renderMessage('exited', 0, Buffer.of(1, 0));
  (await server.connection(1)).write(
    Buffer.concat([old, answer, old, next, renderMessage('exited', 0, Buffer.of(3, 0))]),
  );
  await eventually('the exit', () => messages.length === 2);
  assert.deepEqual(messages, [{ type: 'ready' }, { type: 'exit', code: 3, oomKilled: false }]);
  assert.deepEqual(offences, []);
});

test('an agent of another generation is told from ours; only its end is understood', async (t) => {
  const { server, messages, answerTo } = await open(t);
  const answer = await answerTo(0, GENERATION + 1);
  const frames = [renderMessage('ready'), renderMessage('exited', 0, Buffer.of(5, 0))];
  (await server.connection(0)).write(Buffer.concat([answer, ...frames]));
  await eventually('the end', () => messages.length === 2);
  assert.deepEqual(messages, [
    { type: 'failed', reason: 'the agent in the guest is one of another version of monocore; restart the service' },
    { type: 'exit', code: 5, oomKilled: false },
  ]);
});

test('a guest that sends more than it may, or what is no frame, is cut off', async (t) => {
  const flood = (frame: Buffer, times: number) => Buffer.concat(Array.from({ length: times }, () => frame));
  const output = renderMessage('output', 7, Buffer.alloc(MAX_BODY_BYTES));
  for (const [what, bytes, offence] of [
    ['frames', flood(renderMessage('ready'), 1500), 'flooded'],
    ['bytes', flood(renderMessage('failed', 0, Buffer.alloc(MAX_BODY_BYTES, 'y')), 400), 'flooded'],
    ['output of a session that is not open', flood(output, 400), 'flooded'],
    ['garbage', Buffer.from('ready\n'), 'broke the protocol of'],
    ['zero bytes', Buffer.alloc(100), 'broke the protocol of'],
  ] as const) {
    const { server, offences, answerTo } = await open(t);
    const peer = await server.connection(0);
    peer.on('error', () => {});
    peer.write(Buffer.concat([await answerTo(0), bytes]));
    await eventually(what, () => offences.length > 0);
    assert.deepEqual([offences, server.connections.length], [[offence], 1], what);
  }
  const { server, offences, answerTo } = await open(t);
  await answerTo(0);
  const peer = await server.connection(0);
  peer.on('error', () => {});
  peer.write(Buffer.alloc(4 * 2 ** 20, 'x'));
  await eventually('bytes without an answer', () => offences.length > 0);
  assert.deepEqual(offences, ['flooded']);
});

test('output that a session has credit for is none of a flood, and more is', async (t) => {
  const { server, offences, control, messages, answerTo } = await open(t);
  const body = Buffer.alloc(MAX_BODY_BYTES - FRAME_COST, 'x');
  const peer = await server.connection(0);
  peer.on('error', () => {});
  peer.write(await answerTo(0));
  const session = control.exec({ command: ['cat'] });
  let read = 0;
  session.stdout.on('data', ({ length }) => {
    read += length;
  });
  /** Takes as much as the agent has credit for, and grants it again. */
  for (let round = 0; round < 60; round += 1) {
    for (let sent = 0; sent < 4; sent += 1) peer.write(renderMessage('output', 1, body));
    await eventually('the bytes', () => read === (round + 1) * 4 * body.length);
  }
  peer.write(renderMessage('ready'));
  await eventually('what comes behind it', () => messages.length === 1);
  assert.deepEqual(offences, []);

  session.stdout.pause();
  for (let sent = 0; sent < 300; sent += 1) peer.write(renderMessage('output', 1, body));
  await eventually('the offence', () => offences.length === 1);
  assert.deepEqual(offences, ['flooded']);
  assert.deepEqual(await session.ended, { status: 125, error: 'the connection to the guest was lost' });
});

test('input waits for credit, and a guest cannot grant what it was not sent', async (t) => {
  const { server, offences, control, answerTo } = await open(t);
  const peer = await server.connection(0);
  peer.on('error', () => {});
  peer.write(await answerTo(0));
  const session = control.exec({ command: ['cat'] });
  session.stdin.end(Buffer.alloc(200_000, 'i'));
  const received = () => Buffer.from(server.text(0) ?? '', 'latin1').filter((byte) => byte === 0x69).length;
  const allowed = INITIAL_CREDIT - Math.ceil(INITIAL_CREDIT / (MAX_BODY_BYTES + FRAME_COST)) * FRAME_COST;
  await eventually('the first bytes', () => received() === allowed);
  const grant = Buffer.alloc(4);
  grant.writeUInt32LE(INITIAL_CREDIT);
  peer.write(renderMessage('credit', 1, grant));
  await eventually('more', () => received() === 2 * allowed);
  grant.writeUInt32LE(INITIAL_CREDIT + 1);
  for (let count = 0; count < 1500; count += 1) peer.write(renderMessage('credit', 1, grant));
  await eventually('the offence', () => offences.length === 1);
  assert.equal(received(), 2 * allowed);
});

test('a job is its words, its secrets byte for byte, and the start; then come commands', async (t) => {
  const { server, control, answerTo } = await open(t);
  const content = Buffer.from([0, 255, 10]);
  control.sendJob({ words: ['hostname=web', 'env=V=grüße'], secrets: [{ name: 'key', content }] });
  control.sendHosts([
    { name: 'db', address: '10.83.0.1' },
    { name: 'web', address: '10.83.0.2' },
  ]);
  control.sendSignal('TERM');
  control.sendSignal('37');
  assert.equal(control.sendProbe({ type: 'exec', command: ['true'] }, 2500), 1);
  control.sendAbort(1);
  control.sendDrain('m4rk3r');
  control.sendOff();
  await answerTo(0);
  const all = await eventually('all messages', async () => {
    const bytes = Buffer.from(server.text(0) ?? '', 'latin1');
    return bytes.includes(renderMessage('off')) && bytes;
  });
  const frames: string[] = [];
  new AgentFrameReader().push(all.subarray(RESYNC_BYTES), ({ type, session, body }) => {
    if (type !== 'hello') frames.push(`${type} ${session} ${body.toString('hex')}`);
    return true;
  });
  const [clock, ...rest] = frames;
  const seconds = Number(Buffer.from(clock!.split(' ')[2]!, 'hex').readBigUInt64LE());
  assert.ok(Math.abs(seconds - Date.now() / 1000) < 60);
  const hex = (text: string) => Buffer.from(text).toString('hex');
  assert.deepEqual(rest, [
    `job 0 ${hex('hostname=web\0env=V=grüße\0')}`,
    `secret 0 ${hex('key\0')}00ff0a`,
    'start 0 ',
    `hosts 0 ${hex('10.83.0.1 db\n10.83.0.2 web\n')}`,
    'signal 0 0f',
    'signal 0 25',
    `probe 1 ${hex('kind=exec\0timeout_ms=2500\0arg=true\0')}`,
    'abort 1 ',
    `drain 0 ${hex('m4rk3r')}`,
    'off 0 ',
  ]);
  assert.equal(FRAME_TYPES.off, 8);
});
