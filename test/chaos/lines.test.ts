import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Break } from './continuity.ts';
import { excuse } from './lines.ts';

const LINE_BYTES = 75;
const BURST = 20;

function missing(lines: number): Break {
  return { run: '0123abcd', before: 9, missingLines: lines, missingBytes: lines * LINE_BYTES, tornLines: 0 };
}

function faulty(breaks: readonly Break[], usual: number, withBacklog: number): number[] {
  return excuse(breaks, { usual, withBacklog }, BURST).faulty.map(({ missingLines }) => missingLines);
}

it('each death of a daemon excuses a break: a burst, or a chunk after a backlog', () => {
  assert.deepEqual(faulty([missing(30), missing(40)], 1, 0), [40]);
  assert.deepEqual(faulty([missing(800)], 5, 0), [800]);
  assert.deepEqual(faulty([missing(800), missing(800)], 0, 1), [800]);
});

it('daemons that died one after the other may have left one break', () => {
  assert.deepEqual(faulty([missing(1200)], 0, 1), [1200]);
  assert.deepEqual(faulty([missing(1200)], 0, 2), []);
  assert.deepEqual(faulty([missing(1200), missing(800)], 0, 2), [1200]);
});
