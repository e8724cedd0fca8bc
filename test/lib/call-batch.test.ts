import assert from 'node:assert/strict';
import test from 'node:test';
import { CallBatch } from '../../src/lib/call-batch.ts';
import { MonocoreError } from '../../src/lib/errors.ts';
import { toWireError } from '../../src/lib/wire-error.ts';

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
