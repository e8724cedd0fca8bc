import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkStream, countChunks, type ExpectedRun } from './continuity.ts';

const PADDING = 'x'.repeat(60);
const RUN = '0123abcd';
const OTHER = 'fedc9876';

function begin(run = RUN): string {
  return `${run} begin`;
}

function numbered(numbers: readonly number[], run = RUN): string[] {
  return numbers.map((number) => `${run} ${number} ${PADDING}`);
}

function end(count: number, run = RUN): string {
  return `${run} end ${count} 7`;
}

/** Missing and torn lines of each break. */
function breaksIn(lines: readonly string[], expected: readonly ExpectedRun[] | null = null): [number, number][] {
  return checkStream(lines, expected).breaks.map(({ missingLines, tornLines }) => [missingLines, tornLines]);
}

describe('a stream', () => {
  it('is whole when each run counts from its begin to its end', () => {
    const lines = [begin(), ...numbered([1, 2, 3]), end(3), begin(OTHER), ...numbered([1], OTHER), end(1, OTHER)];
    const check = checkStream(lines, [
      { run: RUN, count: 3 },
      { run: OTHER, count: 1 },
    ]);
    assert.deepEqual(check, {
      lines: 8,
      breaks: [],
      doubledLines: 0,
      runs: [RUN, OTHER],
      endedRuns: [RUN, OTHER],
    });
  });

  it('has a break where lines are missing: at the begin, in the middle, at the end', () => {
    assert.deepEqual(breaksIn([...numbered([3, 4, 7]), end(9)]), [
      [1, 0],
      [2, 0],
      [2, 0],
      [2, 0],
    ]);
  });

  it('may stop anywhere in a run that was killed', () => {
    const lines = [begin(), ...numbered([1, 2]), `${RUN} 3 xx`, begin(OTHER), end(0, OTHER)];
    assert.deepEqual(breaksIn(lines, [{ run: RUN, count: null }]), []);
  });

  it('has a break where a run is known to have printed more', () => {
    assert.deepEqual(breaksIn([begin(), ...numbered([1, 2])], [{ run: RUN, count: 5 }]), [[4, 0]]);
    assert.deepEqual(breaksIn([], [{ run: RUN, count: 5 }]), [[7, 0]]);
  });

  it('counts lines that come again, also those of an earlier run', () => {
    assert.equal(checkStream([begin(), ...numbered([1, 2, 2, 1, 3])], null).doubledLines, 2);
    assert.equal(checkStream([begin(), ...numbered([1]), begin(OTHER), ...numbered([2])], null).doubledLines, 1);
  });

  it('tells torn lines from missing ones', () => {
    assert.deepEqual(breaksIn([begin(), ...numbered([1]), `${RUN} 2 xx`, ...numbered([3])]), [[1, 1]]);
  });

  it('lacks nothing where a line is there in two pieces', () => {
    const [line] = numbered([2]) as [string];
    assert.deepEqual(breaksIn([begin(), ...numbered([1]), line.slice(0, 20), line.slice(20), ...numbered([3])]), [
      [0, 2],
    ]);
  });
});

it('a break is in flight if it fits into the chunks of as many daemons as died', () => {
  const skip = (missing: number) => checkStream([begin(), ...numbered([missing + 1]), end(missing + 1)], null).breaks;
  // 65,536 bytes of 72 to 74 each.
  assert.deepEqual(skip(880).map(countChunks), [1]);
  assert.deepEqual(skip(900).map(countChunks), [2]);
});
