import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MonocoreError } from '../../src/errors.ts';
import { toWireError } from '../../src/protocol/wire-error.ts';
import { CallBatch } from '../../src/threads/call-batch.ts';
import { TurnBatch } from '../../src/turn-batch.ts';

test('what is added in one turn goes together, and in order', async () => {
  const batches: number[][] = [];
  const batch = new TurnBatch<number>((items) => batches.push(items));
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
  const batch: TurnBatch<number> = new TurnBatch((items) => {
    batches.push(items);
    if (batches.length === 1) batch.add(2);
  });
  batch.add(1);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(batches, [[1], [2]]);
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
