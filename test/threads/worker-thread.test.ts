import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { MonocoreError } from '../../src/lib/errors.ts';
import { type ThreadOptions, WorkerThread } from '../../src/threads/worker-thread.ts';
import type { ThreadApi } from '../fixtures/thread.ts';
import { eventually } from '../helpers/eventually.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { fixtureEntry } from '../helpers/processes/fixture-thread.ts';

type Options = Partial<ThreadOptions<ThreadApi, string>>;

function makeThread(t: TestContext, options: Options = {}): WorkerThread<ThreadApi, string> {
  const thread = new WorkerThread<ThreadApi, string>({
    entry: fixtureEntry('thread'),
    data: () => ({ data: { bootError: null } }),
    deadlines: { defaultMs: 10_000, perMethodMs: { hang: null } },
    ...options,
  });
  t.after(() => thread.stop());
  return thread;
}

async function startThread(t: TestContext, options: Options = {}) {
  const thread = makeThread(t, options);
  await thread.start();
  return thread;
}

test('a worker answers calls and posts events', async (t) => {
  const events: string[] = [];
  const thread = await startThread(t, { onEvent: (event) => events.push(event) });
  assert.deepEqual(thread.status(), { name: thread.name, state: 'ready', restarts: 0 });
  const api = await thread.ready();
  assert.deepEqual(await api.echo({ a: [1] }), { a: [1] });
  await api.post('hello');
  await eventually('the event', () => events.length > 0);
  assert.deepEqual(events, ['hello']);
  await assert.rejects(api.fail(), { code: 'HomeUnusable', details: { free_bytes: 0 } });
});

test('a worker that dies fails pending calls and is restarted with its work', async (t) => {
  const deaths: MonocoreError[] = [];
  const thread = await startThread(t, {
    onDeath: (error) => deaths.push(error),
    onReady: (api) => api.note('its work'),
  });
  const api = await thread.ready();
  await api.note('told by hand');
  const pending = [api.hang(), api.die()];
  for (const call of pending) await assert.rejects(call, { code: 'ThreadDied', message: /ended: exit code 3/ });
  const next = await eventually('the restart', async () => thread.status().restarts === 1 && thread.ready());
  assert.deepEqual(await next.notes(), ['its work']);
  assert.equal(deaths.length, 1);
  assert.deepEqual(thread.status(), { name: thread.name, state: 'ready', restarts: 1 });
  await assert.rejects(api.echo(1), { code: 'ThreadDied' }, 'the old worker stays dead');
});

test('callers wait for the new worker during a restart', async (t) => {
  let onDeath = (): void => {};
  const died = new Promise<void>((resolve) => {
    onDeath = resolve;
  });
  const thread = await startThread(t, { onDeath });
  void thread.crash();
  await died;
  assert.equal(thread.status().state, 'restarting');
  const api = await thread.ready();
  assert.equal(await api.echo('new'), 'new');
});

test('a restarted worker is not available before it has its work again', async (t) => {
  const seen: (readonly string[])[] = [];
  const thread: WorkerThread<ThreadApi, string> = await startThread(t, {
    onDeath: () => thread.tell(async (api) => seen.push(await api.notes())),
    onReady: async (api) => {
      for (const part of ['one', 'two', 'three']) await api.note(part);
    },
  });
  await thread.crash();
  await eventually('the call', () => seen.length > 0);
  assert.deepEqual(seen, [['one', 'two', 'three']]);
});

test('a worker that throws while it boots fails the start with its message', async (t) => {
  const thread = makeThread(t, { data: () => ({ data: { bootError: 'no such folder' } }) });
  await assert.rejects(thread.start(), { code: 'ThreadDied', message: /ended: no such folder/ });
  await assert.rejects(thread.ready(), { code: 'ThreadDied' });
});

test('a failed restart is reported and retried', async (t) => {
  const bootErrors = [null, 'first try', 'second try', null];
  const deaths: string[] = [];
  const thread = await startThread(t, {
    data: () => ({ data: { bootError: bootErrors.shift() ?? null } }),
    onDeath: ({ message }) => deaths.push(message.replace(/.*ended: /, '')),
  });
  await thread.crash();
  await eventually('three tries', async () => thread.status().restarts === 3 && thread.ready());
  assert.deepEqual(deaths.slice(1), ['first try', 'second try']);
});

test('a worker that rejects its work is ended and restarted', async (t) => {
  let tries = 0;
  const thread = await startThread(t, {
    onReady: async () => {
      tries += 1;
      if (tries === 2) throw new Error('not now');
    },
  });
  await thread.crash();
  await eventually('the next try', async () => tries === 3 && thread.ready());
});

test('a stop lets the worker finish, then ends it', async (t) => {
  const thread = await startThread(t);
  let drained: unknown;
  await thread.stop(async (api) => {
    drained = await api.echo('the last');
  });
  assert.equal(drained, 'the last');
  assert.equal(thread.status().state, 'stopped');
  await assert.rejects(thread.ready(), { code: 'ThreadDied', message: /was stopped/ });
});

test('a worker whose last call fails is still ended', async (t) => {
  const failing = await startThread(t);
  await failing.stop((api) => api.fail());
  assert.equal(failing.status().state, 'stopped');
  const dying = await startThread(t);
  await dying.stop((api) => api.die());
  assert.equal(dying.status().state, 'stopped');
});

test('a worker stopped during a restart stays down', async (t) => {
  const deaths: string[] = [];
  const thread = await startThread(t, { onDeath: ({ message }) => deaths.push(message) });
  await thread.crash();
  await eventually('the death', () => deaths.length > 0);
  const waiting = assert.rejects(thread.ready(), { code: 'ThreadDied', message: /was stopped/ });
  await thread.stop();
  await waiting;
  assert.deepEqual(thread.status(), { name: thread.name, state: 'stopped', restarts: 0 });
  assert.equal(deaths.length, 1);
});

test('a stop ends the delay before a restart, which would keep the process alive', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const stopped = gate();
  const thread = await startThread(t, {
    onDeath: () => {
      assert.equal(timers(), before + 1, 'it waits');
      void thread.stop().then(stopped.open);
    },
  });
  await thread.crash();
  await stopped.opened;
  assert.equal(timers(), before);
});

test('a worker stopped while it boots again is not reported as dead', async (t) => {
  const deaths: string[] = [];
  const stopped = gate();
  let boots = 0;
  const thread: WorkerThread<ThreadApi, string> = await startThread(t, {
    data: () => {
      boots += 1;
      if (boots === 2) setImmediate(() => thread.stop().then(stopped.open));
      return { data: { bootError: null } };
    },
    onDeath: ({ message }) => deaths.push(message),
  });
  await thread.crash();
  await stopped.opened;
  await assert.rejects(thread.ready(), { code: 'ThreadDied', message: /was stopped/ });
  assert.equal(deaths.length, 1);
});

test('tell() to a dying worker fails silently', async (t) => {
  const thread = await startThread(t);
  thread.tell((api) => api.die());
  thread.tell((api) => api.echo('missed'));
  await eventually('the restart', () => thread.status().restarts === 1);
});

test('a thread that was not started cannot be called', async (t) => {
  const thread = makeThread(t);
  await assert.rejects(thread.ready(), { code: 'ThreadDied', message: /was not started/ });
  await thread.stop();
});
