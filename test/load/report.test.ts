import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeTempDir } from '../helpers/temp.ts';
import { countLines, firstRecordMs } from './log-check.ts';
import { percentile } from './percentile.ts';
import { renderPlot } from './plot.ts';
import { complaints, type LoadResult, renderReport, SPAWN_LOOP } from './report.ts';
import type { LoadFigures } from './run.ts';

function result(figures: Partial<LoadFigures> = {}, peers: LoadResult['peers'] = {}): LoadResult {
  return {
    peers,
    figures: {
      services: 10,
      failed: [],
      startSeconds: 3,
      firstLinesSeconds: 4,
      firstLineMs: { p50: 100, p99: 200 },
      printedLines: 20,
      writtenLines: 20,
      misplacedLines: 0,
      mainDelayMs: { p50: 0.1, p99: 2, max: 30 },
      idleDelayMs: { p50: 0.1, p99: 1, max: 10 },
      daemonCpuPercent: 1,
      daemonCpuMsPerStart: 10,
      daemonMib: { before: 100, after: 110, perService: 1 },
      stopSeconds: 1,
      leftovers: [],
      ...figures,
    },
  };
}

const line = (number: number) =>
  `2026-11-23T08:00:0${number}.000Z INFO [load-001] line ${number} of a service under load\n`;

test('lines are counted over all files of a stream, and what is not in its place is found', async (t) => {
  const dir = await makeTempDir(t);
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
  write('load-001.stdout.000001.log', line(0) + line(1));
  write('load-001.stdout.000002.log', line(2));
  write('load-0011.stdout.000001.log', line(7));
  assert.deepEqual(countLines(dir, 'load-001'), { written: 3, misplaced: 0 });
  assert.equal(firstRecordMs(dir, 'load-001'), Date.parse('2026-11-23T08:00:00.000Z'));
  assert.equal(firstRecordMs(dir, 'load-002'), null);
  write('load-001.stdout.000002.log', line(2) + line(2) + line(4));
  assert.deepEqual(countLines(dir, 'load-001'), { written: 5, misplaced: 1 });
  write('load-001.stdout.000001.log', line(1));
  assert.ok(countLines(dir, 'load-001').misplaced > 0);
});

test('a run with anything lost, failed or left behind is one that failed', () => {
  assert.deepEqual(complaints(result()), []);
  assert.deepEqual(complaints(result({ writtenLines: 19, failed: ['load-001: no kernel'], leftovers: ['sleep'] })), [
    '10 services: failed: load-001: no kernel',
    '10 services: left behind: sleep',
    '10 services: 20 lines printed, 19 written',
  ]);
});

test('the table has a ratio to each peer that took part', () => {
  const text = renderReport([result({}, { [SPAWN_LOOP]: 1.5, pm2: null })]);
  assert.match(text, /spawn in a loop, s +│ +1\.50 │\n│ +monocore against it +│ +2\.00× │/);
  assert.match(text, /pm2, s +│ +- │/);
});

test('a plot has a curve for each figure, with a point for each run', () => {
  const results = [result({}, { pm2: 2 }), result({ services: 20 }, { pm2: null })];
  const svg = renderPlot(results, 'isolation "vm" & <more>');
  assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" /);
  assert.equal(svg.match(/<polyline /g)?.length, 7);
  assert.equal(svg.match(/<circle /g)?.length, 13);
  assert.match(svg, /isolation "vm" &amp; &lt;more>: seconds to start/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});

test('a percentile is the least value that so many do not exceed', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile([7], 0.99)], [50, 99, 7]);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});
