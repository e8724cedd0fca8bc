/** The manual's measurements cover all that the benchmark measures. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { conmon } from '../../scripts/bench/logs/conmon.ts';
import { LOADS } from '../../scripts/bench/logs/loads.ts';
import { nodePrograms } from '../../scripts/bench/logs/node-programs.ts';
import { pm2 } from '../../scripts/bench/logs/pm2.ts';
import { stdinPrograms } from '../../scripts/bench/logs/stdin-programs.ts';

const page = readFileSync(new URL('../../src/manual/performance.md', import.meta.url), 'utf8');

test('the page has the speed of every peer under every load of the benchmark', () => {
  const [head = '', , ...rows] = (/^\| *\| times .*\n(?:\|.*\n)+/m.exec(page)?.[0] ?? '').trimEnd().split('\n');
  const cellsOf = (row: string) => row.split('|').map((cell) => cell.trim());
  const contenders = [...nodePrograms, ...stdinPrograms, conmon, pm2];
  assert.deepEqual(
    rows.map((row) => cellsOf(row)[1]),
    contenders.map(({ name }) => name),
  );
  for (const { name } of LOADS) {
    const column = cellsOf(head).indexOf(name);
    for (const row of rows) assert.match(cellsOf(row)[column] ?? '', /^[\d.]+ \([\d.]+×\)$/, `${row} under ${name}`);
  }
});
