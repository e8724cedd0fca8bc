/** A small load through the real tool: everything that is printed is written, and nothing is left. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeTempDir } from '../../helpers/temp.ts';
import type { LoadResult } from '../../load/report.ts';

const TOOL = fileURLToPath(new URL('../../load/load.ts', import.meta.url));

test('a load says what it cost, loses no line and leaves nothing', async (t) => {
  const dir = await makeTempDir(t);
  const plot = join(dir, 'plot.svg');
  const args = ['--isolation', 'none', '--services', '2,5', '--lines', '60', '--seconds', '2', '--dir', dir];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--import', import.meta.resolve('tsx'), TOOL, ...args, '--json', '--plot', plot],
  ]);
  const { results } = JSON.parse(stdout) as { results: LoadResult[] };
  assert.deepEqual(
    results.map(({ figures: { services, printedLines, writtenLines, misplacedLines, failed, leftovers } }) => {
      return { services, printedLines, writtenLines, misplacedLines, failed, leftovers };
    }),
    [2, 5].map((services) => {
      const lines = 60 * services;
      return { services, printedLines: lines, writtenLines: lines, misplacedLines: 0, failed: [], leftovers: [] };
    }),
  );
  for (const { figures } of results) {
    assert.ok(figures.startSeconds > 0 && figures.firstLineMs.p99 >= figures.firstLineMs.p50);
    assert.ok(figures.daemonMib.before > 0 && figures.mainDelayMs.max >= figures.mainDelayMs.p50);
  }
  assert.match(readFileSync(plot, 'utf8'), /<svg/);
  assert.deepEqual(readdirSync(dir), ['plot.svg'], 'its homes are gone');
});
