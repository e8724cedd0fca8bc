import assert from 'node:assert/strict';
import test from 'node:test';
import { ImagePaths } from '../../../../src/state/paths.ts';
import { lockStore } from '../../../../workers/images/store/store-lock.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

test('a lock request that is cancelled before its wait begins does not wait', { timeout: 10_000 }, async (t) => {
  const paths = new ImagePaths(await makeTempDir(t));
  const unlock = await lockStore(paths, new AbortController().signal, () => {});
  t.after(unlock);
  const cancel = new AbortController();
  const reason = new Error('called off');
  await assert.rejects(
    lockStore(paths, cancel.signal, () => cancel.abort(reason)),
    reason,
  );
});
