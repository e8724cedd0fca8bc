import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { LOADS, producerOf, writeInput } from '../../../../scripts/bench/logs/loads.ts';
import { countWholeLines, readDelays, STAMP_CHARACTERS } from '../../../../scripts/bench/logs/output-check.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const PRODUCER = { command: [], lines: 3, lineBytes: 20 };
const [ONE, TWO, THREE] = ['0000000000 the quick', '0000000001 the quick', '0000000002 the quick'].map((line) =>
  line.slice(0, PRODUCER.lineBytes - 1),
) as [string, string, string];

/** Counts the whole lines in files of these names and contents. */
async function count(t: test.TestContext, files: Record<string, string>): Promise<number> {
  const dir = await makeTempDir(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return countWholeLines(dir, PRODUCER);
}

test('lines count whatever is before them, in whatever file they are', async (t) => {
  assert.equal(await count(t, { 'a.1': `${ONE}\n@400000006543 ${THREE}\n`, 'log/b': `2026 INFO [web] ${TWO}\n` }), 3);
});

test('a line that is cut, of two files, or there twice is no line more', async (t) => {
  assert.equal(await count(t, { a: `${ONE}\n${ONE}\n${TWO.slice(0, 15)}` }), 1);
  assert.equal(await count(t, { a: `${ONE}\n${TWO.slice(0, 15)}`, b: `${TWO.slice(15)}\n${THREE}\n` }), 2);
  assert.equal(await count(t, { a: `${ONE.slice(0, 15)}\n${ONE.slice(15)}\n` }), 0);
  assert.equal(await count(t, { a: `${ONE.slice(1)}\n` }), 0);
});

test('a line that was never written does not count', async (t) => {
  assert.equal(await count(t, { a: `${THREE.replace('2', '3')}\n` }), 0);
});

test('nothing counts twice for a link to its file', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'log.1'), `${ONE}\n${TWO}\n`);
  symlinkSync('log.1', join(dir, 'log'));
  assert.equal(readDelays(dir, PRODUCER.lineBytes).records, 2);
});

test('the delay of a line is the time from its stamp to that of its record', async (t) => {
  const dir = await makeTempDir(t);
  const record = (text: string, lateMs: number) => {
    const stamp = (Date.parse(text) - lateMs).toFixed(3).padStart(STAMP_CHARACTERS);
    return `${text} INFO [web] ${stamp} and a line\n`;
  };
  writeFileSync(
    join(dir, 'log'),
    record('2026-11-23T08:00:00.010Z', 8) +
      record('2026-11-23T08:00:01.000Z', 2) +
      record('2026-11-23T08:00:02.000Z', 4),
  );
  const { records, delaysMs } = readDelays(dir, STAMP_CHARACTERS + ' and a line\n'.length);
  assert.equal(records, 3);
  assert.deepEqual([...delaysMs], [2.5, 4.5, 8.5]);
});

test('what a producer writes is found as a whole, in files of many megabytes', async (t) => {
  const dir = await makeTempDir(t);
  for (const lineBytes of new Set(LOADS.map((load) => load.lineBytes))) {
    const lines = Math.ceil(3e6 / lineBytes);
    writeInput(dir, lineBytes, lines);
    const outDir = join(dir, `out-${lineBytes}`);
    mkdirSync(outDir);
    const input = readFileSync(join(dir, `input-${lineBytes}`), 'latin1');
    writeFileSync(join(outDir, 'log'), input.replaceAll(/^/gm, 'INFO ').slice(0, -'INFO '.length));
    const load = LOADS.find((one) => one.lineBytes === lineBytes)!;
    assert.equal(countWholeLines(outDir, producerOf(load, dir, lines)), lines, load.name);
  }
});
