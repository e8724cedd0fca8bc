import assert from 'node:assert/strict';
import test from 'node:test';
import { streamCpuPerGb, summarizeStreams } from '../../../../scripts/bench/logs/stream-figures.ts';
import type { StreamWindow } from '../../../../scripts/bench/logs/stream-fixtures.ts';
import {
  LINE_BYTES,
  LINES_PER_SECOND,
  MORE_STREAMS,
  STREAMS,
  type StreamRound,
} from '../../../../scripts/bench/logs/streams.ts';

function windowOf(p99Ms: number): StreamWindow {
  return { p50Ms: 1, p99Ms, maxMs: 9, cpuSeconds: 0.5, seconds: 2, rssBytes: 1e6 };
}

function roundOf(idleMs: number, busyMs: number, mbPerStream: number, lostLines: number): StreamRound {
  const [idle, busy, bystander, busyReadline] = [idleMs, busyMs, 1, 50].map(windowOf) as [
    StreamWindow,
    StreamWindow,
    StreamWindow,
    StreamWindow,
  ];
  const line = { lineP99Ms: busyMs, lineMaxMs: 9 };
  const manyStreamsRssBytes = 50e6 + mbPerStream * MORE_STREAMS * 1e6;
  return { idle, busy, bystander, busyReadline, oneStreamRssBytes: 50e6, manyStreamsRssBytes, lostLines, ...line };
}

test('what streams add is compared within a round, and what they lose is summed over all', () => {
  const figures = summarizeStreams([roundOf(1, 1.5, 0.05, 0), roundOf(10, 10.2, 0.07, 2), roundOf(2, 3, 0.06, 1)]);
  assert.equal(figures.addedP99Ms, 0.5);
  assert.equal(figures.mbPerStream.toFixed(6), '0.060000');
  assert.equal(figures.lostLines, 3);
  assert.equal(figures.windows.idle.p99Ms, 2);
  assert.equal(figures.windows.busy.p99Ms, 3);
  assert.equal(figures.lineP99Ms, 3);
});

test('CPU time is told for each GB that was printed', () => {
  const gbPerSecond = (STREAMS * LINES_PER_SECOND * LINE_BYTES) / 1e9;
  assert.equal(streamCpuPerGb(windowOf(1)), 0.25 / gbPerSecond);
});
