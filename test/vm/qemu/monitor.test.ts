import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Exit, VmEndReason } from '../../../src/vm/backend.ts';
import { type EndSigns, findReason, MachineMonitor } from '../../../src/vm/qemu/monitor.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startUnixServer } from '../../helpers/servers/unix-server.ts';

const IN_ORDER: Exit = { code: 0, signal: null };
const FAILED: Exit = { code: 1, signal: null };
const UNKNOWN: Exit = { code: null, signal: null };
const KILLED: Exit = { code: 137, signal: 'SIGKILL' };

async function listen(t: TestContext) {
  const server = await startUnixServer(t);
  let kills = 0;
  const pauses: (string | null)[] = [];
  const kill = () => {
    kills += 1;
  };
  const watch = new MachineMonitor(server.path, kill, (reason) => pauses.push(reason));
  t.after(() => watch.qmp.close());
  const peer = await server.connection(0);
  await server.received(0, '"id":1}\n');
  peer.write('{"QMP": {}}\n{"return": {}, "id": 0}\n');
  return { server, watch, peer, pauses, kills: () => kills };
}

test('a guest that panics is ended, and the panic is the reason', async (t) => {
  const { server, watch, peer } = await listen(t);
  peer.write('{"return": {"status": "running"}, "id": 1}\n');
  peer.write('{"event": "GUEST_PANICKED", "data": {"action": "pause"}}\n');
  assert.match(await server.received(0, '"id":2}\n'), /"execute":"quit"/);
  peer.end('{"return": {}, "id": 2}\n{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}\n');
  assert.equal(await watch.endReason(UNKNOWN, false), 'guest-panic');
});

test('a guest that panicked before somebody listened is ended, once', async (t) => {
  const { server, watch, peer } = await listen(t);
  peer.write('{"return": {"status": "guest-panicked"}, "id": 1}\n');
  peer.write('{"event": "GUEST_PANICKED", "data": {"action": "pause"}}\n');
  assert.equal((await server.received(0, '"id":2}\n')).match(/quit/g)?.length, 1);
  peer.end();
  assert.equal(await watch.endReason(UNKNOWN, false), 'guest-panic');
});

test('a QEMU that is slow to answer is asked again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  const server = await startUnixServer(t, { listening: false });
  const watch = new MachineMonitor(
    server.path,
    () => {},
    () => {},
  );
  t.after(() => watch.qmp.close());
  const execute = t.mock.method(watch.qmp, 'execute', (command: string) => {
    sent.push(command);
    return command === 'quit' ? new Promise(() => {}) : Promise.resolve({ status: 'guest-panicked' });
  });
  t.mock.timers.tick(5000);
  await new Promise(setImmediate);
  assert.deepEqual(sent, ['query-status', 'quit']);
  execute.mock.restore();
});

test('a QEMU that does not end when it is told is killed', async (t) => {
  const { server, peer, kills } = await listen(t);
  peer.write('{"event": "GUEST_PANICKED"}\n');
  await server.received(0, '"id":2}\n');
  peer.write('{"error": {"class": "GenericError", "desc": "not now"}, "id": 2}\n');
  await eventually('the kill', () => kills() === 1);
});

const NO_ROOM = '{"event": "BLOCK_IO_ERROR", "data": {"action": "stop", "nospace": true}}\n';

test('a machine that found no room on the disk is let try again, each time it fails, and that is told once', async (t) => {
  const { server, watch, peer, pauses } = await listen(t);
  peer.write('{"return": {"status": "running"}, "id": 1}\n');
  // One for each write that was under way.
  peer.write(NO_ROOM.repeat(3));
  assert.equal((await server.received(0, '"id":2}\n')).match(/"cont"/g)?.length, 1);
  peer.write(`{"return": {}, "id": 2}\n${NO_ROOM}`);
  assert.equal((await server.received(0, '"id":3}\n')).match(/"cont"/g)?.length, 2);
  peer.write(`{"return": {}, "id": 3}\n`);
  await eventually('the end of the pause', () => pauses.length === 2);
  assert.deepEqual(pauses, ['the host has no space left for its disk', null]);
  peer.end('{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}\n');
  assert.equal(await watch.endReason(IN_ORDER, true), null);
});

test('a machine that found no room before somebody listened is let try again', async (t) => {
  const { server, peer } = await listen(t);
  peer.write('{"return": {"status": "io-error"}, "id": 1}\n');
  assert.match(await server.received(0, '"id":2}\n'), /"execute":"cont"/);
});

test('the last word of a QEMU that is dead already is still heard', async (t) => {
  const { watch, peer } = await listen(t);
  const reason = watch.endReason(IN_ORDER, false);
  peer.end('{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}\n');
  assert.equal(await reason, 'guest-reset');
});

test('a machine that hangs is examined: the places of its processors, several times', async (t) => {
  const server = await startUnixServer(t);
  const monitor = new MachineMonitor(server.path, assert.fail, () => assert.fail());
  t.after(() => monitor.qmp.close());
  const peer = await server.connection(0);
  const examined = monitor.examine();
  const registers = (at: string) => `CPU#0\r\nRAX=1 RIP=ffffffff8100${at} RFL=2\r\nCPU#1\r\nRIP=ffffffff81000000\r\n`;
  for (const at of ['0001', '0002', '0003', '0004', '0005']) {
    const line = await eventually('a question', () => {
      const asked =
        server
          .text(0)
          ?.trimEnd()
          .split('\n')
          .filter((text) => text.includes('info registers -a')) ?? [];
      return asked.length === Number(at) && asked.at(-1);
    });
    peer.write(`${JSON.stringify({ return: registers(at), id: JSON.parse(line).id })}\n`);
  }
  const places = ['0001', '0002', '0003', '0004', '0005'].map((at) => `ffffffff8100${at},ffffffff81000000`);
  assert.equal(await examined, `its processors are at ${places.join('; ')}`);
});

test('a QEMU that floods its monitor is killed, and the flood is the reason', async (t) => {
  const server = await startUnixServer(t);
  let kills = 0;
  const monitor = new MachineMonitor(
    server.path,
    () => {
      kills += 1;
    },
    () => {},
  );
  t.after(() => monitor.qmp.close());
  const peer = await server.connection(0);
  peer.on('error', () => {});
  peer.write('{"event": "NOISE"}\n'.repeat(20_000));
  await eventually('the kill', () => kills > 0);
  assert.equal(kills, 1);
  assert.equal(await monitor.endReason(KILLED, false), 'guest-flood');
});

test('a QEMU that was never heard is not waited for', async (t) => {
  const server = await startUnixServer(t, { listening: false });
  const watch = new MachineMonitor(
    server.path,
    () => {},
    () => {},
  );
  assert.equal(await watch.endReason(FAILED, false), 'vm-crash');
  assert.equal(server.connections.length, 0);
});

test('the end of a machine has the reason that its signs tell', () => {
  const signs: EndSigns = { exit: IN_ORDER, asked: false, panicked: false, flooded: false, cause: null, heard: true };
  const table: [string, Partial<EndSigns>, VmEndReason | null][] = [
    ['it said that it panicked', { panicked: true, cause: 'host-qmp-quit' }, 'guest-panic'],
    ['it panicked on its way out', { panicked: true, asked: true }, 'guest-panic'],
    ['QEMU ended it for the panic', { cause: 'guest-panic' }, 'guest-panic'],
    ['its guest caused too many events', { exit: KILLED, flooded: true, panicked: true }, 'guest-flood'],
    ['the guest reset it', { cause: 'guest-reset' }, 'guest-reset'],
    ['the guest switched it off', { cause: 'guest-shutdown' }, 'guest-reset'],
    ['the guest did as it was told', { cause: 'guest-reset', asked: true }, null],
    ['somebody ended QEMU in order', { cause: 'host-signal' }, null],
    ['QEMU was killed', { exit: KILLED }, 'vm-crash'],
    ['QEMU was killed as asked', { exit: KILLED, asked: true }, null],
    ['QEMU failed before it could be heard', { exit: FAILED, heard: false }, 'vm-crash'],
    ['an adopted QEMU ended without a word', { exit: UNKNOWN }, 'vm-crash'],
    ['an adopted QEMU was never heard', { exit: UNKNOWN, heard: false }, null],
    ['nobody heard it, but it ended in order', { heard: false }, null],
  ];
  for (const [what, some, reason] of table) assert.equal(findReason({ ...signs, ...some }), reason, what);
});
