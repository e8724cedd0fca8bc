import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { VmProbe } from '../../../src/vm/backend.ts';
import { renderProbe } from '../../../src/vm/guest/control-channel.ts';
import { GuestProbes, judgeAnswer } from '../../../src/vm/guest/health-probe.ts';

const PROBE: VmProbe = { type: 'tcp', port: 80 };
const NEVER = new AbortController().signal;
const ACCEPTED = { status: 0, text: '' };
const KILLED = { status: 137, text: '' };

/** Probes, and the lines that they sent. Time stands still. */
function makeProbes(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  let sessions = 0;
  const control = {
    unreadBytes: 0,
    sendProbe(probe: VmProbe, timeoutMs: number) {
      sent.push(`probe ${timeoutMs} ${'port' in probe ? probe.port : ''}`);
      return sessions++;
    },
    sendAbort: (session: number) => sent.push(`abort ${session}`),
  };
  return { control, probes: new GuestProbes(control), sent };
}

/** Lets every promise settle that waits for nothing but others. */
const turn = () => new Promise(setImmediate);

test('each answer finds its probe, in whatever order; others are dropped', async (t) => {
  const { probes, sent } = makeProbes(t);
  const asked = [probes.ask(PROBE, 1000, NEVER), probes.ask({ type: 'tcp', port: 81 }, 2000, NEVER)];
  assert.deepEqual(sent, ['probe 1000 80', 'probe 2000 81']);
  probes.answer(17, { status: 1, text: '' });
  probes.answer(1, { status: 1, text: '' });
  probes.answer(0, ACCEPTED);
  assert.deepEqual(
    (await Promise.all(asked)).map(({ ok }) => ok),
    [true, false],
  );
  t.mock.timers.tick(10_000);
  await turn();
  assert.equal(sent.length, 2, 'no timer is left of what was answered');
});

test('a guest that reads nothing is sent no more probes', async (t) => {
  const { control, probes, sent } = makeProbes(t);
  control.unreadBytes = 2 ** 20;
  const result = await probes.ask(PROBE, 1000, NEVER);
  assert.deepEqual(result, { ok: false, detail: 'the guest does not read its control port' });
  assert.deepEqual(sent, []);
});

test('a probe without an answer is killed, and has failed when it is dead', async (t) => {
  const { probes, sent } = makeProbes(t);
  let result: unknown = null;
  void probes.ask(PROBE, 2500, NEVER).then((given) => {
    result = given;
  });
  t.mock.timers.tick(2499);
  await turn();
  assert.equal(sent.length, 1);
  t.mock.timers.tick(1);
  await turn();
  assert.deepEqual(sent, ['probe 2500 80', 'abort 0']);
  assert.equal(result, null);
  probes.answer(0, KILLED);
  await turn();
  assert.deepEqual(result, { ok: false, detail: 'no answer in 2500ms' });
});

test('a guest that does not even say that it has killed a probe holds it up for a second', async (t) => {
  const { probes } = makeProbes(t);
  const asked = probes.ask(PROBE, 500, NEVER);
  t.mock.timers.tick(500);
  await turn();
  t.mock.timers.tick(1000);
  assert.deepEqual(await asked, { ok: false, detail: 'no answer in 500ms' });
  probes.answer(0, ACCEPTED);
});

test('a probe that is called off is killed; one that is called off before is never sent', async (t) => {
  const { probes, sent } = makeProbes(t);
  const cancel = new AbortController();
  const asked = probes.ask(PROBE, 60_000, cancel.signal);
  cancel.abort();
  await turn();
  assert.deepEqual(sent, ['probe 60000 80', 'abort 0']);
  probes.answer(0, KILLED);
  assert.deepEqual(await asked, { ok: false, detail: 'cancelled' });
  assert.deepEqual(await probes.ask(PROBE, 60_000, cancel.signal), { ok: false, detail: 'cancelled' });
  assert.equal(sent.length, 2);
});

test('the end of the command or the VM ends every probe, and those to come', async (t) => {
  const { probes, sent } = makeProbes(t);
  const waiting = probes.ask(PROBE, 1000, NEVER);
  const beingKilled = probes.ask(PROBE, 10, NEVER);
  t.mock.timers.tick(10);
  await turn();
  probes.close('the command has ended');
  probes.close('the VM has ended');
  const ended = { ok: false, detail: 'the command has ended' };
  assert.deepEqual(await waiting, ended);
  assert.deepEqual(await beingKilled, { ok: false, detail: 'no answer in 10ms' });
  assert.deepEqual(await probes.ask(PROBE, 1000, NEVER), ended);
  assert.equal(sent.length, 3);
});

const tcp: VmProbe = { type: 'tcp', port: 80 };
const http: VmProbe = { type: 'http', port: 80, path: '/' };
const exec: VmProbe = { type: 'exec', command: ['true'] };

test('a probe is words: its kind, its time, and what it asks', () => {
  assert.deepEqual(renderProbe(tcp, 1000), ['kind=tcp', 'timeout_ms=1000', 'port=80']);
  const path = "/it's?a=$b";
  assert.deepEqual(renderProbe({ ...http, path } as VmProbe, 0.5), [
    'kind=http',
    'timeout_ms=1',
    'port=80',
    `path=${path}`,
  ]);
  const words = ['/bin/check', 'a b', '', 'two\nlines'];
  const rendered = renderProbe({ type: 'exec', command: words }, 9);
  assert.deepEqual(rendered, ['kind=exec', 'timeout_ms=9', ...words.map((word) => `arg=${word}`)]);
});

test('a port answers when a connection is made', () => {
  assert.deepEqual(judgeAnswer(tcp, { status: 0, text: '' }), { ok: true, detail: 'connection accepted' });
  assert.deepEqual(judgeAnswer(tcp, { status: 1, text: '' }), { ok: false, detail: 'connection refused' });
});

test('a page answers with a status of 200 to 399', () => {
  const judge = (text: string) => judgeAnswer(http, { status: 0, text });
  for (const status of ['200', '204', '301', '399']) {
    assert.deepEqual(judge(`HTTP/1.1 ${status} Whatever\r`), { ok: true, detail: `status ${status}` });
  }
  for (const status of ['100', '199', '400', '404', '503', '999']) {
    assert.deepEqual(judge(`HTTP/1.0 ${status}`), { ok: false, detail: `status ${status}` });
  }
  for (const text of ['', 'SSH-2.0-OpenSSH_9.2', 'HTTP/1.1', 'HTTP/1.1 2000 OK', ' HTTP/1.1 200 OK']) {
    assert.deepEqual(judge(text), { ok: false, detail: 'no HTTP response' }, text);
  }
  assert.deepEqual(judgeAnswer(http, { status: 1, text: '' }), { ok: false, detail: 'connection refused' });
});

test('a command answers with its exit code, or why it could not be run', () => {
  assert.deepEqual(judgeAnswer(exec, { status: 0, text: '' }), { ok: true, detail: 'exit code 0' });
  assert.deepEqual(judgeAnswer(exec, { status: 3, text: '' }), { ok: false, detail: 'exit code 3' });
  assert.deepEqual(judgeAnswer(exec, { status: 127, text: 'command not found: x' }), {
    ok: false,
    detail: 'command not found: x',
  });
});
