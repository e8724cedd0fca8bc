import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from './random.ts';
import { ACTION_TYPES, describeAction, planActions } from './schedule.ts';

const MINUTE_MS = 60_000;
const CAST = { services: ['a', 'b', 'c'], passing: 'c', passingProject: 'three', projects: ['one', 'two', 'three'] };

describe('the plan of a chaos run', () => {
  it('is the same for the same seed, and another one for another seed', () => {
    const plan = (seed: number) => planActions(new SeededRandom(seed), MINUTE_MS, CAST);
    assert.deepEqual(plan(7), plan(7));
    assert.notDeepEqual(plan(7), plan(8));
  });

  it('has every kind of action that is possible, and no other', () => {
    const possible = ACTION_TYPES.filter((type) => type !== 'fill-disk');
    for (const seed of [1, 2, 3]) {
      const plan = planActions(new SeededRandom(seed), MINUTE_MS, CAST, possible);
      assert.deepEqual(new Set(plan.map(({ action }) => action.type)), new Set(possible));
    }
  });

  it('removes nothing where nothing may be removed', () => {
    const types = ['fill-disk-during', 'command-project'] as const;
    const plan = planActions(new SeededRandom(1), MINUTE_MS, { ...CAST, passing: null }, types);
    assert.ok(plan.length > 20);
    for (const { action } of plan) assert.ok(!describeAction(action).includes('remove'), describeAction(action));
  });

  it('is in the order of time, and ends in time', () => {
    const times = planActions(new SeededRandom(1), MINUTE_MS, CAST).map(({ atMs }) => atMs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.ok(times.at(-1)! < MINUTE_MS);
  });
});
