import assert from 'node:assert/strict';
import test from 'node:test';
import { makeRecordTest } from '../../../../workers/jobs/logs/record-filter.ts';

const TIME = '2026-11-23T08:00:00.123Z';

test('a pattern is one of JavaScript with the flag u, and is tried anew on each record', () => {
  const match = (source: string, line: string, ignoreCase = false) => {
    const wants = makeRecordTest({ sinceMs: null, untilMs: null, grep: { source, ignoreCase } });
    const bytes = Buffer.from(`${TIME} INFO [web] ${line}`);
    return [1, 2].map(() => wants(bytes, 0, bytes.length, TIME));
  };
  assert.deepEqual(match('^.$', '🐙'), [true, true]);
  assert.deepEqual(match('\\p{Lu}', 'ü'), [false, false]);
  assert.deepEqual(match('Ü', 'ü', true), [true, true]);
  assert.deepEqual(match('b', 'abc'), [true, true]);
});
