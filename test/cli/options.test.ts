import assert from 'node:assert/strict';
import test from 'node:test';
import { createSelection, parseThreadsOption, parseTimeOption, parseTimeoutOption } from '../../src/cli/options.ts';

test('names and a group together are refused', () => {
  assert.throws(() => createSelection(['web'], 'front'), { code: 'Usage' });
});

test('a name that is given twice counts once', () => {
  assert.deepEqual(createSelection(['web', 'web'], undefined), { names: ['web'], group: null });
});

test('a timeout is seconds, or a duration with its unit', () => {
  assert.deepEqual(['10', '1.5', '500ms', '1m'].map(parseTimeoutOption), [10_000, 1500, 500, 60_000]);
  assert.throws(() => parseTimeoutOption('soon'), { code: 'commander.invalidArgument' });
});

test('a time has its zone or is a duration ago; a bare number could mean either and is refused', () => {
  assert.equal(parseTimeOption('2026-11-23T08:00:00+01:00'), Date.parse('2026-11-23T07:00:00Z'));
  assert.ok(Math.abs(parseTimeOption('10m') - (Date.now() - 600_000)) < 5000);
  for (const text of ['1700000000', '2026-11-23T08:00:00', 'yesterday']) {
    assert.throws(() => parseTimeOption(text), { code: 'commander.invalidArgument' }, text);
  }
});

test('a number of threads is from 1 to 64', () => {
  assert.deepEqual(['1', '64'].map(parseThreadsOption), [1, 64]);
  for (const text of ['0', '65', '1.5', '-1']) {
    assert.throws(() => parseThreadsOption(text), { code: 'commander.invalidArgument' }, text);
  }
});
