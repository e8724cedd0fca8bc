import assert from 'node:assert/strict';
import test from 'node:test';
import type { Clock } from '../../src/lib/clock.ts';
import { deferred, pollUntil, within } from '../../src/lib/promises.ts';

/** A clock whose one timer a test lets fire. */
function manualClock() {
  let fire = (): void => {};
  let isCancelled = false;
  const clock: Clock = {
    now: () => 0,
    elapsed: () => 0,
    after(_delayMs, callback) {
      fire = callback;
      return () => {
        isCancelled = true;
      };
    },
  };
  return { clock, fire: () => fire(), isCancelled: () => isCancelled };
}

test('a deferred promise is settled by its owner', async () => {
  const value = deferred<number>();
  value.resolve(1);
  assert.equal(await value.promise, 1);
  const failure = deferred();
  failure.reject(new Error('no'));
  await assert.rejects(failure.promise, /no/);
});

test('a promise that settles in time gives its value or its error, and its timer is cancelled', async () => {
  const { clock, isCancelled } = manualClock();
  assert.equal(await within(Promise.resolve(1), 1000, { clock }), 1);
  assert.equal(isCancelled(), true);
  await assert.rejects(within(Promise.reject(new Error('no')), 1000), /no/);
});

test('a promise that takes too long gives null, and may fail later', async () => {
  const { clock, fire } = manualClock();
  const slow = deferred<number>();
  const result = within(slow.promise, 1000, { clock });
  fire();
  assert.equal(await result, null);
  slow.reject(new Error('too late to matter'));
});

test('a signal ends the wait, also one that has fired already', async () => {
  const controller = new AbortController();
  const result = within(new Promise<number>(() => {}), 1e6, { signal: controller.signal });
  controller.abort();
  assert.equal(await result, null);
  assert.equal(await within(new Promise<number>(() => {}), 1e6, { signal: controller.signal }), null);
});

test('a condition is looked at until it holds, or the time is up', async () => {
  let looks = 0;
  assert.equal(await pollUntil(() => ++looks === 3, 1), true);
  assert.equal(looks, 3);
  assert.equal(await pollUntil(() => false, 1, 5), false);
});
