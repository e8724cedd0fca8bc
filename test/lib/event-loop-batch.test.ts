import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MonocoreError, toWireError } from '../../src/lib/errors.ts';
import { CallBatch, EventLoopBatch, EventLoopQueue } from '../../src/lib/event-loop-batch.ts';

test('what is added in one turn goes together, and in order', async () => {
  const batches: number[][] = [];
  const batch = new EventLoopBatch<number>((items) => batches.push(items));
  batch.add(1);
  await Promise.resolve();
  batch.add(2);
  assert.deepEqual(batches, []);
  await nextTurn();
  batch.add(3);
  await nextTurn();
  assert.deepEqual(batches, [[1, 2], [3]]);
});

test('what is added while a batch is handed over is the next one', async () => {
  const batches: number[][] = [];
  const batch: EventLoopBatch<number> = new EventLoopBatch((items) => {
    batches.push(items);
    if (batches.length === 1) batch.add(2);
  });
  batch.add(1);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(batches, [[1], [2]]);
});

test('tasks are done in order, at once while there are few, and so many in a turn', async () => {
  const done: number[] = [];
  const queue = new EventLoopQueue(3);
  for (const number of [1, 2]) queue.add(() => done.push(number));
  assert.deepEqual(done, [1, 2]);
  for (const number of [3, 4, 5, 6, 7]) queue.add(() => done.push(number));
  assert.deepEqual(done, [1, 2, 3]);
  await nextTurn();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6]);
  queue.add(() => done.push(8));
  await nextTurn();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6, 7, 8]);
  await nextTurn();
  queue.add(() => done.push(9));
  assert.equal(done.at(-1), 9, 'a new turn has room again');
});

test('what a task adds is done at once while there is room', async () => {
  const done: string[] = [];
  const queue = new EventLoopQueue(2);
  queue.add(() => {
    queue.add(() => done.push('from within'));
    done.push('first');
  });
  queue.add(() => done.push('second'));
  queue.add(() => done.push('third'));
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  assert.deepEqual(done, ['from within', 'first', 'second', 'third']);
});

test('calls of one turn are answered each by itself', async () => {
  const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
  const calls = new CallBatch<string>(async (items) =>
    items.map((item) => (item === 'bad' ? toWireError(full) : null)),
  );
  const [good, bad] = await Promise.allSettled([calls.call('good'), calls.call('bad')]);
  assert.equal(good.status, 'fulfilled');
  assert.ok(bad.status === 'rejected' && bad.reason instanceof MonocoreError);
  assert.match(bad.reason.message, /ENOSPC/);
});

test('where the answer fails, all of its calls do', async () => {
  const calls = new CallBatch<string>(() => Promise.reject(new MonocoreError('ThreadDied', 'it is gone')));
  const results = await Promise.allSettled([calls.call('a'), calls.call('b')]);
  assert.deepEqual(
    results.map((result) => result.status === 'rejected' && result.reason.code),
    ['ThreadDied', 'ThreadDied'],
  );
});
