import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { QmpClient } from '../../../src/vm/qemu/qmp.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer } from '../../helpers/servers/unix-server.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}\n{"return": {}, "id": 0}\n';

async function connect(t: TestContext) {
  const server = await startUnixServer(t);
  const events: [string, Record<string, unknown>][] = [];
  const qmp = new QmpClient(server.path, (name, data) => events.push([name, data]), assert.fail);
  t.after(() => qmp.close());
  const peer = await server.connection(0);
  peer.write(GREETING);
  return { server, qmp, events, peer };
}

test('the client negotiates first, then executes', async (t) => {
  const { server, qmp, peer } = await connect(t);
  const status = qmp.execute('query-status');
  const sent = await server.received(0, '"id":1}\n');
  assert.deepEqual(
    sent
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { execute: 'qmp_capabilities', id: 0 },
      { execute: 'query-status', id: 1 },
    ],
  );
  peer.write('{"return": {"status": "running"}, "id": 1}\n');
  assert.deepEqual(await status, { status: 'running' });
});

test('each answer finds its call, in whatever order', async (t) => {
  const { qmp, peer } = await connect(t);
  const calls = [qmp.execute('a'), qmp.execute('b'), qmp.execute('c')];
  for (const id of [3, 1, 2]) peer.write(`{"return": ${id * 10}, "id": ${id}}\n`);
  assert.deepEqual(await Promise.all(calls), [10, 20, 30]);
});

test('an error of QEMU rejects the call with its description', async (t) => {
  const { qmp, peer } = await connect(t);
  const call = qmp.execute('frobnicate');
  peer.write('{"id": 1, "error": {"class": "CommandNotFound", "desc": "The command frobnicate has not been found"}}\n');
  await assert.rejects(call, { code: 'Internal', message: 'QEMU: The command frobnicate has not been found' });
});

test('events are told by name; what is no message, and answers to no call, are harmless', async (t) => {
  const { qmp, events, peer } = await connect(t);
  peer.write('garbage\n{"unfinished": \n[]\nnull\n{"return": 1, "id": 99}\n{"return": 1, "id": "x"}\n');
  peer.write('{"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": true}}\n{"event": "STOP"}\n');
  await eventually('the events', () => events.length === 2);
  assert.deepEqual(events, [
    ['SHUTDOWN', { guest: true }],
    ['STOP', {}],
  ]);
  const call = qmp.execute('cont');
  peer.write('{"return": {}, "id": 1}\n');
  assert.deepEqual(await call, {});
});

test('a call without an answer throws CallTimeout', async (t) => {
  const { qmp } = await connect(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const call = assert.rejects(qmp.execute('stop'), {
    code: 'CallTimeout',
    message: 'QEMU did not answer stop in 5000 ms',
  });
  t.mock.timers.tick(5000);
  await call;
  t.mock.timers.reset();
});

test('a call that is pending when the client is closed, or comes later, is aborted', async (t) => {
  const { qmp } = await connect(t);
  const call = assert.rejects(qmp.execute('quit'), { code: 'Aborted' });
  qmp.close();
  await call;
  await assert.rejects(qmp.execute('quit'), { code: 'Aborted' });
});
