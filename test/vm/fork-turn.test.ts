import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { forkTurn } from '../../src/vm/fork-turn.ts';

test('each has a turn of the event loop of its own, in the order in which they came', async () => {
  let loop = 0;
  let isCounting = true;
  const counted = (async () => {
    for (; isCounting; loop += 1) await setImmediate();
  })();
  const turns: [string, number][] = [];
  const take = async (name: string): Promise<void> => {
    await forkTurn();
    turns.push([name, loop]);
  };
  const first = ['a', 'b', 'c'].map(take);
  await first[0];
  await Promise.all([...first, take('d')]);
  await take('e');
  isCounting = false;
  await counted;
  assert.deepEqual(
    turns.map(([name]) => name),
    ['a', 'b', 'c', 'd', 'e'],
  );
  assert.equal(new Set(turns.map(([, at]) => at)).size, 5, JSON.stringify(turns));
});
