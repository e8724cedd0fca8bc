/** Watches for a line that has no newline, through the real threads. */
import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { MonocoreError } from '../../src/lib/errors.ts';
import { LogThread } from '../../src/logs/logs-thread.ts';
import { PartialLines, type RunMatch } from '../../src/logs/partial-lines.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { openChildEnd, openReadEnd } from '../../src/vm/host/fifos.ts';
import { eventually } from '../helpers/eventually.ts';
import { contentOf } from '../helpers/logs/harness.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const WEB = { service: 'web', stream: 'stdout' } as const;

async function startWatching(t: TestContext, tellsPartialLines: boolean) {
  const dir = await makeTempDir(t);
  const pool = new JobPool();
  const matched: string[] = [];
  const logs = new LogThread(join(dir, 'log'), () => {}, {
    runSearch: (job, options) => pool.run(job, options),
    runMatch: (job, options) => {
      matched.push(job.text);
      return pool.run(job, options);
    },
  });
  defer(t, () => pool.close());
  defer(t, () => logs.stop());
  await logs.start();
  const path = join(dir, 'stdout.fifo');
  makeFifos([path]);
  const childEnd = openChildEnd(path);
  defer(t, () => closeSync(childEnd));
  const handlers = { reopen: () => openReadEnd(path), onEnded: () => {}, tellsPartialLines };
  await logs.capture('web', [{ stream: 'stdout', fd: openReadEnd(path) }], handlers);
  const print = (text: string) => writeSync(childEnd, text);
  return { logs, matched, print, content: () => contentOf(join(dir, 'log'), 'web', 'stdout') };
}

test('a prompt is seen, with its colours left out, and whether it was printed before or after the watch began', async (t) => {
  const { logs, matched, print, content } = await startWatching(t, true);
  let seen = 0;
  const watch = (pattern: string) => logs.watchForLine('web', pattern, 0, () => (seen += 1));
  watch('^ready> $');
  print('booting\n\u001b[32mready> \u001b[0m');
  await eventually('the prompt', () => seen === 1);
  watch('^ready');
  await eventually('the prompt once more', () => seen === 2);
  print('\nready> \n');
  await eventually('the records', () => content().split('\n').length === 4);
  assert.equal(seen, 2);
  assert.deepEqual(new Set(matched), new Set(['\u001b[32mready> \u001b[0m']));
});

test('a whole line is seen once, by the search alone', async (t) => {
  const { logs, matched, print } = await startWatching(t, true);
  let seen = 0;
  logs.watchForLine('web', 'ready', 0, () => (seen += 1));
  print('ready\n');
  await eventually('the line', () => seen === 1);
  assert.deepEqual(matched, []);
});

/** Texts that were given to the pool, and their answers. */
function makeLines() {
  const runs: { readonly text: string; readonly signal: AbortSignal; readonly answer: (isSeen: boolean) => void }[] =
    [];
  const run: RunMatch = ({ text }, { signal }) =>
    new Promise((resolve) => runs.push({ text, signal, answer: resolve }));
  return { runs, lines: new PartialLines(run, () => {}) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('while a text is matched, only the last of those that come is kept', async () => {
  const { runs, lines } = makeLines();
  let seen = 0;
  lines.watch('web', 'x', () => (seen += 1));
  for (const text of ['a', 'b', 'c']) lines.note(WEB, text);
  lines.note({ ...WEB, service: 'other' }, 'x');
  assert.deepEqual(
    runs.map(({ text }) => text),
    ['a'],
  );
  runs[0]!.answer(false);
  await settle();
  assert.deepEqual(
    runs.map(({ text }) => text),
    ['a', 'c'],
  );
  runs[1]!.answer(true);
  await settle();
  lines.note(WEB, 'd');
  await settle();
  assert.deepEqual([seen, runs.length], [1, 2]);
});

test('a watch that ends cancels its match, and texts of an earlier run are forgotten', async () => {
  const { runs, lines } = makeLines();
  let seen = 0;
  const end = lines.watch('web', 'x', () => (seen += 1));
  lines.note(WEB, 'x');
  end();
  assert.equal(runs[0]!.signal.aborted, true);
  runs[0]!.answer(true);
  await settle();
  assert.equal(seen, 0);
  lines.forget('web');
  lines.watch('web', 'x', () => {});
  await settle();
  assert.equal(runs.length, 1);
});

test('a match that runs too long is given up, and the time in which it waits for a thread does not count', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const reports: string[] = [];
  const jobs: { readonly begun: Int32Array; readonly signal: AbortSignal }[] = [];
  const run: RunMatch = ({ begun }, { signal }) => {
    jobs.push({ begun, signal });
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new MonocoreError('Aborted', 'the job did not end')));
    });
  };
  const lines = new PartialLines(run, (_level, message) => reports.push(message));
  lines.watch('web', '(a+)+$', () => {});
  lines.note(WEB, 'aaaa');
  t.mock.timers.tick(60_000);
  assert.equal(jobs[0]!.signal.aborted, false);
  Atomics.store(jobs[0]!.begun, 0, 1);
  t.mock.timers.tick(20_000);
  assert.equal(jobs[0]!.signal.aborted, true);
  await settle();
  assert.deepEqual(reports, ['web: an unfinished line cannot be matched against (a+)+$: it takes more than 10 s']);
});
