import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { VmProbe } from '../../../src/vm/backend.ts';
import { GuestProbes } from '../../../src/vm/guest/health-probe.ts';

const PROBE: VmProbe = { type: 'tcp', port: 80 };
const NEVER = new AbortController().signal;
const ACCEPTED = { status: 0, text: '' };
const KILLED = { status: 137, text: '' };

/** A desk, and what it sent. Time stands still. */
function makeDesk(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  const ids: string[] = [];
  const desk = new GuestProbes({
    sendProbe(id, timeoutMs, words) {
      ids.push(id);
      sent.push(`probe ${timeoutMs} ${words}`);
    },
    sendAbort: (id) => sent.push(`abort ${ids.indexOf(id)}`),
  });
  return { desk, sent, ids };
}

/** Lets every promise settle that waits for nothing but others. */
const turn = () => new Promise(setImmediate);

test('each answer finds its probe, in whatever order; others are dropped', async (t) => {
  const { desk, sent, ids } = makeDesk(t);
  const probes = [desk.ask(PROBE, 1000, NEVER), desk.ask({ type: 'tcp', port: 81 }, 2000, NEVER)];
  assert.deepEqual(sent, ['probe 1000 tcp 80', 'probe 2000 tcp 81']);
  desk.answer('0123456789abcdef', { status: 1, text: '' });
  desk.answer(ids[1]!, { status: 1, text: '' });
  desk.answer(ids[0]!, ACCEPTED);
  assert.deepEqual(
    (await Promise.all(probes)).map(({ ok }) => ok),
    [true, false],
  );
  t.mock.timers.tick(10_000);
  await turn();
  assert.equal(sent.length, 2, 'no timer is left of what was answered');
});

test('ids never come again', async (t) => {
  const { desk, ids } = makeDesk(t);
  for (let count = 0; count < 100; count += 1) void desk.ask(PROBE, 1000, NEVER);
  assert.equal(new Set(ids).size, 100);
  assert.ok(ids.every((id) => /^[0-9a-f]{16}$/.test(id)));
  desk.close('done');
});

test('a probe without an answer is killed, and has failed when it is dead', async (t) => {
  const { desk, sent, ids } = makeDesk(t);
  let result: unknown = null;
  void desk.ask(PROBE, 2500, NEVER).then((given) => {
    result = given;
  });
  t.mock.timers.tick(2499);
  await turn();
  assert.equal(sent.length, 1);
  t.mock.timers.tick(1);
  await turn();
  assert.deepEqual(sent, ['probe 2500 tcp 80', 'abort 0']);
  assert.equal(result, null);
  desk.answer(ids[0]!, KILLED);
  await turn();
  assert.deepEqual(result, { ok: false, detail: 'no answer in 2.5s' });
});

test('a guest that does not even say that it has killed a probe holds it up for a second', async (t) => {
  const { desk, ids } = makeDesk(t);
  const asked = desk.ask(PROBE, 500, NEVER);
  t.mock.timers.tick(500);
  await turn();
  t.mock.timers.tick(1000);
  assert.deepEqual(await asked, { ok: false, detail: 'no answer in 0.5s' });
  desk.answer(ids[0]!, ACCEPTED);
});

test('a probe that is called off is killed; one that is called off before is never sent', async (t) => {
  const { desk, sent, ids } = makeDesk(t);
  const cancel = new AbortController();
  const asked = desk.ask(PROBE, 60_000, cancel.signal);
  cancel.abort();
  await turn();
  assert.deepEqual(sent, ['probe 60000 tcp 80', 'abort 0']);
  desk.answer(ids[0]!, KILLED);
  assert.deepEqual(await asked, { ok: false, detail: 'cancelled' });
  assert.deepEqual(await desk.ask(PROBE, 60_000, cancel.signal), { ok: false, detail: 'cancelled' });
  assert.equal(ids.length, 1);
});

test('the end of the command or the VM ends every probe, and those to come', async (t) => {
  const { desk, sent } = makeDesk(t);
  const waiting = desk.ask(PROBE, 1000, NEVER);
  const beingKilled = desk.ask(PROBE, 10, NEVER);
  t.mock.timers.tick(10);
  await turn();
  desk.close('the command has ended');
  desk.close('the VM has ended');
  const ended = { ok: false, detail: 'the command has ended' };
  assert.deepEqual(await waiting, ended);
  assert.deepEqual(await beingKilled, { ok: false, detail: 'no answer in 0.01s' });
  assert.deepEqual(await desk.ask(PROBE, 1000, NEVER), ended);
  assert.equal(sent.length, 3);
});
