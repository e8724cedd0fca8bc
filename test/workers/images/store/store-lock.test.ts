import assert from 'node:assert/strict';
import test from 'node:test';
import { lockStore } from '../../../../workers/images/store/store-lock.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

test('a lock request that is cancelled before its wait begins does not wait', { timeout: 10_000 }, async (t) => {
  const dir = await makeTempDir(t);
  const unlock = await lockStore(dir, new AbortController().signal, () => {});
  t.after(unlock);
  const cancel = new AbortController();
  const reason = new Error('called off');
  await assert.rejects(
    lockStore(dir, cancel.signal, () => cancel.abort(reason)),
    reason,
  );
});
