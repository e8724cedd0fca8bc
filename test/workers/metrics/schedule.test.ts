import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { runEvery } from '../../../workers/metrics/schedule.ts';

test('ticks during a slow run are skipped, and the next one after it runs', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.after(() => mock.timers.reset());
  let runs = 0;
  let finish = () => {};
  const stop = runEvery(10, () => {
    runs += 1;
    return new Promise<void>((resolve) => {
      finish = resolve;
    });
  });
  mock.timers.tick(35);
  assert.equal(runs, 1);
  finish();
  await new Promise((resolve) => setImmediate(resolve));
  mock.timers.tick(10);
  assert.equal(runs, 2);
  stop();
  finish();
  await new Promise((resolve) => setImmediate(resolve));
  mock.timers.tick(100);
  assert.equal(runs, 2);
});
