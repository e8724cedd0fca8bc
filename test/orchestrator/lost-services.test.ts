/** Services of an earlier daemon whose state cannot be read. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import { FakeContext } from '../helpers/fakes/fake-context.ts';

/** The error of a lost service, and its calls, where its processes end or do not. */
async function recover(isDamaged: boolean, endStrays: () => Promise<number>) {
  const context = new FakeContext();
  let searches = 0;
  context.endStrays = () => {
    searches += 1;
    return endStrays();
  };
  const lost = [{ name: 'web', reason: 'web.json is empty', isDamaged }];
  const orchestrator = await Orchestrator.open(Object.assign(context, { left: [], ended: [], lost }));
  assert.equal(searches, 1, 'each search looks at all processes of the host');
  return { error: orchestrator.services()[0]?.error, calls: context.callsOf('web') };
}

test('a lost service says whether it was ended', async () => {
  const ended = await recover(true, async () => 1);
  assert.equal(ended.error, 'web.json is empty; its processes were ended; start it again');
  const stuck = await recover(true, () => Promise.reject(new Error('process 7 lives')));
  assert.equal(stuck.error, 'web.json is empty; its processes cannot be ended: process 7 lives');
});

test('a folder that no process uses is removed by each back end, and is no service', async () => {
  const { error, calls } = await recover(false, async () => 0);
  assert.deepEqual([error, calls], [undefined, ['cleanUp', 'cleanUp']]);
});
