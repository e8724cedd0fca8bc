import assert from 'node:assert/strict';
import test from 'node:test';
import type { Contender } from '../../../../scripts/bench/logs/contender.ts';
import { median, summarize } from '../../../../scripts/bench/logs/figures.ts';
import { LOADS, MAIN_LOAD } from '../../../../scripts/bench/logs/loads.ts';
import { renderMarkdown } from '../../../../scripts/bench/logs/markdown.ts';
import { renderFigures } from '../../../../scripts/bench/logs/report.ts';
import { judgeThroughput } from '../../../../scripts/bench/logs/targets.ts';
import type { Measurement } from '../../../../scripts/bench/logs/throughput.ts';

const MAIN = LOADS.filter(({ name }) => name === MAIN_LOAD);

function contender(name: string): Contender {
  return { name, stamps: true, rolls: 'yes', share: 1, prepare: async () => null, measure: () => assert.fail() };
}

/** A run of a thousand lines of 100 bytes. */
function measurement(round: number, name: string, seconds: number, more: Partial<Measurement> = {}): Measurement {
  const [lines, wholeLines, bytes] = [1000, 1000, 100_000];
  return { round, load: MAIN_LOAD, contender: name, lines, wholeLines, bytes, seconds, cpuSeconds: seconds, ...more };
}

test('the median is the value in the middle, or between the two in the middle', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([9, 1, 5, 4]), 4.5);
  assert.equal(median([3]), 3);
});

test('contenders are compared within a round, so that a slow round of both does not count', () => {
  const measurements = [
    measurement(1, 'monocore', 1),
    measurement(1, 'multilog', 2),
    measurement(2, 'multilog', 128),
    measurement(2, 'monocore', 16),
    measurement(3, 'monocore', 2),
    measurement(3, 'multilog', 8),
  ];
  const [own, peer] = summarize(measurements, MAIN, [contender('monocore'), contender('multilog')]);
  assert.equal(own?.ratio, 1);
  assert.equal(own?.mbPerSecond, 0.05);
  assert.equal(own?.millionLinesPerSecond, 0.0005);
  assert.equal(peer?.ratio, 4);
  assert.equal(peer?.cpuRatio, 4);
  assert.equal(peer?.mbPerSecond, 0.0125);
});

test('a contender that gets less of the load is judged by its speed', () => {
  const part = { bytes: 10_000, lines: 100, wholeLines: 100 };
  const measurements = [measurement(1, 'monocore', 1), measurement(1, 'pm2', 1, part)];
  const [, pm2] = summarize(measurements, MAIN, [contender('monocore'), contender('pm2')]);
  assert.equal(pm2?.ratio, 10);
});

test('a target is for its load alone', () => {
  const measurements = LOADS.flatMap(({ name: load }) => [
    measurement(1, 'monocore', 1, { load }),
    measurement(1, 'cat', 1, { load }),
  ]);
  const figures = summarize(measurements, LOADS, [contender('monocore'), contender('cat')]);
  const targets = figures.filter(({ target }) => target !== null);
  assert.deepEqual(
    targets.map(({ load, contender: { name }, target }) => [load, name, target]),
    [[MAIN_LOAD, 'cat', 0.6]],
  );
});

test('the table tells lines that are missing in any round, and the verdicts a target that is not met', () => {
  const measurements = [
    measurement(1, 'monocore', 2),
    measurement(1, 'cat', 1, { wholeLines: 998 }),
    measurement(2, 'monocore', 2),
    measurement(2, 'cat', 1),
  ];
  const figures = summarize(measurements, MAIN, [contender('monocore'), contender('cat')]);
  const text = renderFigures(figures);
  const row = text.split('\n').find((line) => line.includes(' cat '));
  assert.match(row ?? '', /0\.50×.*all but 2/);
  assert.match(text, /monocore .* 1\.00× .* all /);
  assert.deepEqual(judgeThroughput(figures), [
    { text: 'blocks-100: speed against cat: 0.50×, target ≥ 0.6 NOT MET', isMet: false },
    { text: 'blocks-100: CPU time against cat: 2.00×, target ≤ 1.6 NOT MET', isMet: false },
  ]);
});

test('the table for the manual has a row for each contender and a column for each load', () => {
  const measurements = LOADS.flatMap(({ name: load }) => [
    measurement(1, 'monocore', 1, { load, bytes: 500e6 }),
    measurement(1, 'cat', 0.64, { load, bytes: 500e6 }),
  ]);
  const rows = renderMarkdown(summarize(measurements, LOADS, [contender('monocore'), contender('cat')])).split('\n');
  assert.equal(rows[0], `|  | times | rolls | ${LOADS.map(({ name }) => name).join(' | ')} | CPU s/GB | target |`);
  assert.equal(rows[2], `| monocore | yes | yes |${' 500 (1×) |'.repeat(LOADS.length)} 2 |  |`);
  assert.equal(rows[3], `| cat | yes | yes |${' 781 (0.64×) |'.repeat(LOADS.length)} 1.3 | 0.6× |`);
});
