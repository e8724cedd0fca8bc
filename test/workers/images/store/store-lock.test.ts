import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import test from 'node:test';
import { deferred } from '../../../../src/lib/promises.ts';
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

test('a job waits for another one whose lock file was deleted', async (t) => {
  const paths = new ImagePaths(await makeTempDir(t));
  const signal = new AbortController().signal;
  const free = await lockStore(paths, signal, () => {});
  rmSync(paths.lock);
  const events: string[] = [];
  const waiting = deferred();
  const second = lockStore(paths, signal, waiting.resolve).then((unlock) => {
    events.push('locked');
    return unlock;
  });
  await waiting.promise;
  events.push('freed');
  free();
  (await second)();
  assert.deepEqual(events, ['freed', 'locked']);
});
