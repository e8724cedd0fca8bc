import assert from 'node:assert/strict';
import test from 'node:test';
import { ControlChannel, type GuestMessage, parseGuestMessage } from '../../../src/vm/guest/control-channel.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer } from '../../helpers/servers/unix-server.ts';

test('the lines of the protocol are understood', () => {
  const cases: [string, GuestMessage][] = [
    ['ready', { type: 'ready' }],
    ['running', { type: 'running' }],
    ['started', { type: 'started' }],
    ['failed command not found: nginx', { type: 'failed', reason: 'command not found: nginx' }],
    ['failed', { type: 'failed', reason: 'the guest gave no reason' }],
    ['exit 143', { type: 'exit', code: 143, oomKilled: false }],
    ['exit 255', { type: 'exit', code: 255, oomKilled: false }],
    ['exit 0\r', { type: 'exit', code: 0, oomKilled: false }],
    ['exit 137 oom', { type: 'exit', code: 137, oomKilled: true }],
    ['probed 0af9 0', { type: 'probed', id: '0af9', answer: { status: 0, text: '' } }],
    ['probed 0af9 0 HTTP/1.1 200 OK\r', { type: 'probed', id: '0af9', answer: { status: 0, text: 'HTTP/1.1 200 OK' } }],
  ];
  for (const [line, message] of cases) assert.deepEqual(parseGuestMessage(line), message, line);
});

test('anything else that a guest says means nothing', () => {
  const lines = [
    '',
    ' ',
    'READY',
    'exit',
    'exit -1',
    'exit 1e2',
    'exit 1 2',
    'exit 256',
    'exit 999',
    'exit 9999',
    'exit 137 OOM',
    'exit oom',
    'probed',
    'probed 0af9',
    'probed 0af9 -1',
    'probed 0af9 256',
    'probed id 0',
    'constructor',
    '{"type":"ready"}',
  ];
  for (const line of lines) assert.equal(parseGuestMessage(line), null, line);
});

test('texts of a guest are cut', () => {
  const long = 'y'.repeat(60_000);
  const failed = parseGuestMessage(`failed ${long}`);
  const probed = parseGuestMessage(`probed 0af9 1 ${long}`);
  assert.ok(failed?.type === 'failed' && failed.reason.length === 1000);
  assert.ok(probed?.type === 'probed' && probed.answer.text.length === 1000);
});

test('a new connection asks for the state, garbage in between is harmless', async (t) => {
  const server = await startUnixServer(t);
  const messages: GuestMessage[] = [];
  const control = new ControlChannel(server.path, (message) => messages.push(message), assert.fail);
  t.after(() => control.close());
  await server.received(0, 'hello\n');
  const peer = await server.connection(0);
  peer.write(Buffer.concat([Buffer.from('ready\n'), Buffer.alloc(300_000, 0xff), Buffer.from('\n\0\0\nexit x\n')]));
  peer.write('started\n');
  await eventually('two messages', () => messages.length === 2);
  server.hangUp();
  await server.received(1, 'hello\n');
  (await server.connection(1)).write('exit 3\n');
  await eventually('the exit', () => messages.length === 3);
  assert.deepEqual(messages, [{ type: 'ready' }, { type: 'started' }, { type: 'exit', code: 3, oomKilled: false }]);
});

test('a job is sent with its length in bytes, its secrets behind it, then commands a line each', async (t) => {
  const server = await startUnixServer(t);
  const control = new ControlChannel(server.path, () => {}, assert.fail);
  t.after(() => control.close());
  const job = 'export V=grüße\n';
  const content = Buffer.from('s3cret\n');
  control.sendJob({ script: job, secrets: [{ name: 'key', content }] });
  control.sendHosts([
    { name: 'db', address: '10.83.0.1' },
    { name: 'web', address: '10.83.0.2' },
  ]);
  control.sendSignal('TERM');
  control.sendProbe('0af9', 2500, "exec 'true'");
  control.sendAbort('0af9');
  control.sendDrain('m4rk3r');
  control.sendOff();
  const commands =
    "hosts 10.83.0.1 db 10.83.0.2 web\nsig TERM\nprobe 0af9 2.5 exec 'true'\nabort 0af9\ndrain m4rk3r\noff\n";
  assert.equal(await server.received(0, 'off\n'), `hello\njob 17\n${job}s3cret\n${commands}`);
});
