/** What the README quotes is what the tests run, and what it measures is all that the benchmark does. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { conmon } from '../scripts/bench/logs/conmon.ts';
import { LOADS } from '../scripts/bench/logs/loads.ts';
import { nodePrograms } from '../scripts/bench/logs/node-programs.ts';
import { pm2 } from '../scripts/bench/logs/pm2.ts';
import { stdinPrograms } from '../scripts/bench/logs/stdin-programs.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = new URL('./fixtures/shippers/', import.meta.url);

for (const name of readdirSync(snippets)) {
  test(`the README quotes ${name} as it is tested`, () => {
    const text = readFileSync(new URL(name, snippets), 'utf8').trimEnd();
    assert.ok(readme.includes(`\n${text}\n\`\`\``));
  });
}

test('the README has the speed of every peer under every load of the benchmark', () => {
  const [head = '', , ...rows] = (/^\| *\| times .*\n(?:\|.*\n)+/m.exec(readme)?.[0] ?? '').trimEnd().split('\n');
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
