import assert from 'node:assert/strict';
import { once } from 'node:events';
import test, { type TestContext } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorCode, MonocoreError } from '../../src/lib/errors.ts';
import { type CallDeadlines, expose, transfer, type Wrapped, wrap } from '../../src/threads/rpc.ts';

interface Api {
  readonly secret?: string;
  echo(value: unknown): Promise<unknown>;
  fail(error: 'monocore' | 'system' | 'text'): Promise<void>;
  hang(): Promise<void>;
  stall(): Promise<void>;
  answerOn(port: MessagePort): Promise<void>;
}

const api: Api = {
  echo: async (value) => value,
  fail: async (error) => {
    if (error === 'text') throw 'just text';
    const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    if (error === 'system') throw cause;
    throw new MonocoreError('HomeUnusable', 'the home is full', { cause, details: { free_bytes: 0 } });
  },
  hang: () => new Promise(() => {}),
  stall: () => new Promise(() => {}),
  answerOn: async (port) => {
    port.postMessage('here');
    port.close();
  },
};

function connect(t: TestContext, deadlines: CallDeadlines = { defaultMs: 10_000 }): Wrapped<Api> {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  expose(api, port1);
  return wrap<Api>('other', port2, deadlines);
}

test('a thrown error keeps its code, its details and the code of its cause', async (t) => {
  const { remote } = connect(t);
  await assert.rejects(remote.fail('monocore'), (error) => {
    assert.ok(error instanceof MonocoreError);
    assert.equal(error.code, 'HomeUnusable');
    assert.equal(error.message, 'the home is full');
    assert.deepEqual(error.details, { free_bytes: 0 });
    assert.equal(errorCode(error.cause), 'ENOSPC');
    return true;
  });
  await assert.rejects(remote.fail('system'), { code: 'Internal', message: 'no space left' });
  await assert.rejects(remote.fail('text'), { code: 'Internal', message: 'just text' });
});

test('each call gets its own result, in any order of the answers', async (t) => {
  const { remote } = connect(t);
  const values = Array.from({ length: 50 }, (_, index) => index);
  assert.deepEqual(await Promise.all(values.map((value) => remote.echo(value))), values);
});

test('a call without an answer throws CallTimeout after its deadline, and others continue', async (t) => {
  const { remote } = connect(t, { defaultMs: 10_000, perMethodMs: { hang: 20 } });
  await assert.rejects(remote.hang(), { code: 'CallTimeout', message: 'other.hang did not answer in 20 ms' });
  assert.equal(await remote.echo('still there'), 'still there');
});

test('a method may have no deadline but the life of the other thread', async (t) => {
  const { remote, fail } = connect(t, { defaultMs: 1, perMethodMs: { hang: null } });
  const hanging = assert.rejects(remote.hang(), { code: 'ThreadDied' });
  await assert.rejects(remote.stall(), { code: 'CallTimeout' }, 'asked later, and its deadline is over');
  fail(new MonocoreError('ThreadDied', 'it ended'));
  await hanging;
});

test('every pending and later call fails when the other thread has ended', async (t) => {
  const { remote, fail } = connect(t);
  const pending = [remote.hang(), remote.hang(), remote.echo('answered too late')];
  fail(new MonocoreError('ThreadDied', 'the other thread ended', { details: 'x' }));
  for (const call of [...pending, remote.echo(1), remote.hang()]) {
    await assert.rejects(call, { code: 'ThreadDied', message: 'the other thread ended', details: 'x' });
  }
});

test('the exposed object cannot be changed from outside', async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  expose(api, port1);
  for (const name of ['echo', 'secret']) {
    // A write as comlink's own proxy sends it.
    port2.postMessage({ id: name, type: 'SET', path: [name], value: { type: 'RAW', value: 'overwritten' } });
    const [answer] = await once(port2, 'message');
    assert.equal(answer.name, 'throw');
  }
  assert.equal(await wrap<Api>('other', port2, { defaultMs: 10_000 }).remote.echo('mine'), 'mine');
  assert.equal('secret' in api, false);
});

test('a port is transferred with a call', async (t) => {
  const { remote } = connect(t);
  const { port1, port2 } = new MessageChannel();
  const received = new Promise((resolve) => port1.once('message', resolve));
  await remote.answerOn(transfer(port2, [port2]));
  assert.equal(await received, 'here');
});

test('an argument that cannot be cloned fails the call at once', async (t) => {
  const { remote } = connect(t);
  await assert.rejects(async () => remote.echo(() => {}), /could not be cloned/);
});
