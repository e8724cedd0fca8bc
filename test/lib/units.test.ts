import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  exactDuration,
  exactSize,
  formatDuration,
  formatSize,
  parseDurationMs,
  parseSize,
  parseTimeMs,
} from '../../src/lib/units.ts';

test('sizes take SI and IEC units, any case, fractions and blanks', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['123', 123],
    ['512MiB', 512 * 2 ** 20],
    ['512mi', 512 * 2 ** 20],
    ['10MB', 10e6],
    ['1.5G', 1.5e9],
    [' 4 KiB ', 4096],
    ['2TiB', 2 * 2 ** 40],
    ['7b', 7],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

test('what is no size is null', () => {
  for (const text of ['', 'MiB', '-1', '1e3', '1.2.3', '5 apples', '1,5G', '5constructor', '.5G']) {
    assert.equal(parseSize(text), null, text);
  }
});

test('durations take one unit or several, and seconds without one', () => {
  const cases: [string, number][] = [
    ['250ms', 250],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['1.5', 1500],
    ['0', 0],
  ];
  for (const [text, durationMs] of cases) assert.equal(parseDurationMs(text), durationMs, text);
});

test('what is no duration is null', () => {
  for (const text of ['', 's', '-5s', '5x', '1h 30m', '5constructor', '1 s'])
    assert.equal(parseDurationMs(text), null, text);
});

test('sizes are printed with three digits at the most', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1536, '1.5 KiB'],
    [10 * 2 ** 20, '10 MiB'],
    [123.4 * 2 ** 30, '123 GiB'],
    [5000 * 2 ** 40, '5000 TiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatSize(bytes), text);
});

test('a printed size reads back as about that size', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), (bytes) => {
      const readBack = parseSize(formatSize(bytes));
      assert.ok(readBack !== null && Math.abs(readBack - bytes) <= bytes / 100, `${bytes}: ${readBack}`);
    }),
  );
});

test('durations are printed in their two largest units', () => {
  const cases: [number, string][] = [
    [0, '0s'],
    [-5, '0s'],
    [999, '0s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [93_784_000, '1d 2h'],
  ];
  for (const [durationMs, text] of cases) assert.equal(formatDuration(durationMs), text);
});

test('exact sizes and durations have the largest unit that says them, and come back as they were', () => {
  assert.deepEqual([0, 1536, 1572864, 2 ** 30, 1023].map(exactSize), ['0', '1536', '1536KiB', '1GiB', '1023']);
  assert.deepEqual([0, 250, 90e3, 3600e3, 7 * 86_400e3].map(exactDuration), ['0ms', '250ms', '90s', '1h', '7d']);
  fc.assert(
    fc.property(fc.nat(), (amount) => {
      assert.deepEqual([parseSize(exactSize(amount)), parseDurationMs(exactDuration(amount))], [amount, amount]);
    }),
  );
});

test('a time is RFC 3339, with a zone', () => {
  const epochMs = Date.UTC(2026, 10, 23, 8, 0, 0);
  assert.equal(parseTimeMs('2026-11-23T08:00:00Z'), epochMs);
  assert.equal(parseTimeMs(' 2026-11-23t08:00:00.5z '), epochMs + 500);
  assert.equal(parseTimeMs('2026-11-23 09:00:00.123456+01:00'), epochMs + 123);
  assert.equal(parseTimeMs('2026-11-22T20:30:00-11:30'), epochMs);
  for (const text of [
    '',
    '2026-11-23',
    '2026-11-23T08:00:00',
    '2026-11-23T08:00Z',
    '2026-02-30T08:00:00Z',
    '2026-13-01T08:00:00Z',
    '2026-11-23T25:00:00Z',
    '2026-11-23T08:00:00+1:00',
    '1763884800',
    'now',
  ]) {
    assert.equal(parseTimeMs(text), null, text);
  }
});
