import assert from 'node:assert/strict';
import { readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { LogRetention, PruneLogsJob } from '../../../../src/protocol/jobs.ts';
import { MAX_FILES, pruneLogs } from '../../../../workers/jobs/logs/prune.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const NOW_MS = Date.parse('2026-11-23T08:00:00Z');
const ALL: LogRetention = { keep_files: null, keep_total_bytes: null, keep_for_ms: null, compress: 'none' };

/** Files by name: age in seconds, and size in bytes. */
type Files = Record<string, readonly [ageS: number, sizeBytes: number]>;

async function makeFolder(t: TestContext, files: Files): Promise<string> {
  const dir = await makeTempDir(t);
  for (const [name, [ageS, sizeBytes]] of Object.entries(files)) {
    writeFileSync(join(dir, name), 'x'.repeat(sizeBytes));
    utimesSync(join(dir, name), NOW_MS / 1000 - ageS, NOW_MS / 1000 - ageS);
  }
  return dir;
}

async function prune(
  t: TestContext,
  files: Files,
  retentions: Record<string, Partial<LogRetention>>,
  more: Partial<PruneLogsJob> = {},
) {
  const logDir = await makeFolder(t, files);
  const result = await pruneLogs({
    type: 'prune-logs',
    logDir,
    retentions: Object.fromEntries(Object.entries(retentions).map(([name, own]) => [name, { ...ALL, ...own }])),
    otherRetention: ALL,
    home: { keep_total_bytes: null },
    written: ['web', 'db'],
    nowMs: NOW_MS,
    ...more,
  });
  return { ...result, left: readdirSync(logDir).sort() };
}

/** Smallest room of a file on a disk. */
const BLOCK = 4096;

const WEB: Files = {
  'web.stdout.000001.log.gz': [500, 10],
  'web.stdout.000002.log': [400, 100],
  'web.stdout.000003.log': [300, 100],
  'web.stdout.000004.log': [200, 100],
  'web.stderr.000001.log': [350, 100],
  'web.stderr.000002.log': [250, 100],
};
const without = (...names: string[]) =>
  Object.keys(WEB)
    .filter((name) => !names.includes(name))
    .sort();

test('without limits everything is kept', async (t) => {
  assert.deepEqual((await prune(t, WEB, { web: {} })).left, without());
});

test('keep limits the files of each stream, the current one aside', async (t) => {
  const { left } = await prune(t, WEB, { web: { keep_files: 1 } });
  assert.deepEqual(left, without('web.stdout.000001.log.gz', 'web.stdout.000002.log'));
  assert.deepEqual((await prune(t, WEB, { web: { keep_files: 0 } })).left, [
    'web.stderr.000002.log',
    'web.stdout.000004.log',
  ]);
});

test('keep_total removes the oldest files of all streams, and no more than needed', async (t) => {
  const keeping = async (keep_total_bytes: number) => (await prune(t, WEB, { web: { keep_total_bytes } })).left;
  assert.deepEqual(await keeping(6 * BLOCK), without());
  assert.deepEqual(await keeping(6 * BLOCK - 1), without('web.stdout.000001.log.gz'));
  const two = ['web.stdout.000001.log.gz', 'web.stdout.000002.log'];
  assert.deepEqual(await keeping(5 * BLOCK - 1), without(...two));
  assert.deepEqual(await keeping(4 * BLOCK - 1), without(...two, 'web.stderr.000001.log'));
  assert.deepEqual(await keeping(1), ['web.stderr.000002.log', 'web.stdout.000004.log']);
});

test('a file counts with the room that it takes on disk, so that many small ones do not exceed the limit', async (t) => {
  const files: Files = {
    'web.stdout.000001.log.gz': [3, 21],
    'web.stdout.000002.log.gz': [2, BLOCK + 1],
    'web.stdout.000003.log': [1, 1],
  };
  assert.equal((await prune(t, files, { web: { keep_total_bytes: 4 * BLOCK } })).left.length, 3);
  assert.equal((await prune(t, files, { web: { keep_total_bytes: 4 * BLOCK - 1 } })).left.length, 2);
});

test('a service with a limit on the size of its files has one on their number, so that each pass is short', async (t) => {
  const names = Array.from(
    { length: MAX_FILES + 3 },
    (_, index) => `web.stdout.${String(index + 1).padStart(6, '0')}.log`,
  );
  const files: Files = Object.fromEntries(names.map((name, index) => [name, [names.length - index, 0]]));
  const { left } = await prune(t, files, { web: { keep_total_bytes: 1 } });
  assert.deepEqual(left, names.slice(3));
  assert.deepEqual((await prune(t, files, { web: {} })).left, names, 'it was lifted with the limit on the size');
});

test('files that are too old are removed, except the current one', async (t) => {
  const { left } = await prune(t, WEB, { web: { keep_for_ms: 300_000 } });
  const old = ['web.stdout.000001.log.gz', 'web.stdout.000002.log', 'web.stderr.000001.log'];
  assert.deepEqual(left, without(...old));
  assert.deepEqual((await prune(t, WEB, { web: { keep_for_ms: 1000 } })).left, [
    'web.stderr.000002.log',
    'web.stdout.000004.log',
  ]);
});

test('the current files of an ended service are removed with their links when they are too old', async (t) => {
  const logDir = await makeFolder(t, WEB);
  for (const [link, target] of Object.entries({ stdout: 'web.stdout.000004.log', stderr: 'web.stderr.000002.log' })) {
    symlinkSync(target, join(logDir, `web.${link}.log`));
  }
  const { left } = await prune(t, {}, { web: { keep_for_ms: 220_000 } }, { logDir, written: [] });
  assert.deepEqual(left, []);
  assert.deepEqual(readdirSync(logDir).sort(), ['web.stdout.000004.log', 'web.stdout.log']);
  await prune(t, {}, { web: { keep_for_ms: 1000 } }, { logDir, written: [] });
  assert.deepEqual(readdirSync(logDir), []);
});

test('no other limit removes the current files of an ended service', async (t) => {
  const limits = { keep_files: 0, keep_total_bytes: 1, keep_for_ms: 220_000 };
  const { left } = await prune(t, WEB, { web: limits }, { home: { keep_total_bytes: 1 }, written: [] });
  assert.deepEqual(left, ['web.stdout.000004.log']);
});

test('an unknown service has the default retention', async (t) => {
  const { left } = await prune(t, WEB, {}, { otherRetention: { ...ALL, keep_files: 0 } });
  assert.equal(left.length, 2);
});

test('the limit of the home removes the oldest files of all services', async (t) => {
  const files: Files = { ...WEB, 'db.stdout.000001.log': [450, 100], 'db.stdout.000002.log': [1, 100] };
  const { left } = await prune(t, files, {}, { home: { keep_total_bytes: 6 * BLOCK } });
  const gone = ['web.stdout.000001.log.gz', 'db.stdout.000001.log'];
  assert.deepEqual(
    left,
    Object.keys(files)
      .filter((name) => !gone.includes(name))
      .sort(),
  );
});

test('the files of a stream are ordered by number, because the clock may have been stepped back', async (t) => {
  const files: Files = {
    'web.stdout.000001.log': [10, 100],
    'web.stdout.000002.log': [9000, 100],
    'web.stdout.000003.log': [1, 100],
  };
  assert.equal((await prune(t, files, { web: { keep_for_ms: 5_000_000 } })).left.length, 3);
  const { left } = await prune(t, files, { web: { keep_files: 1 } });
  assert.deepEqual(left, ['web.stdout.000002.log', 'web.stdout.000003.log']);
});

test('a file in two forms is one file, and both forms are removed', async (t) => {
  const files: Files = {
    'web.stdout.000001.log': [10, 100],
    'web.stdout.000001.log.gz': [10, 10],
    'web.stdout.000002.log': [5, 100],
    'web.stdout.000003.log': [1, 100],
  };
  const { left } = await prune(t, files, { web: { keep_files: 1 } });
  assert.deepEqual(left, ['web.stdout.000002.log', 'web.stdout.000003.log']);
});

test('the rest of an interrupted compression is removed when its file is gone', async (t) => {
  const files: Files = {
    'web.stdout.000001.log.gz.tmp': [10, 1],
    'web.stdout.000002.log': [5, 1],
    'web.stdout.000002.log.gz.tmp': [5, 1],
  };
  const { left } = await prune(t, files, {});
  assert.deepEqual(left, ['web.stdout.000002.log', 'web.stdout.000002.log.gz.tmp']);
});

test('finished files of services that compress are found, current ones are not', async (t) => {
  const files: Files = { ...WEB, 'db.stdout.000001.log': [9, 1], 'db.stdout.000002.log': [9, 1] };
  const { compressible } = await prune(t, files, { web: { compress: 'gzip', keep_files: 1 } });
  assert.deepEqual(compressible.map(({ name }) => name).sort(), ['web.stderr.000001.log', 'web.stdout.000003.log']);
  assert.equal(compressible[0]?.service, 'web');
});

test('other files, and a folder that is missing, are left alone', async (t) => {
  const files: Files = { 'monocore.1.log': [9e6, 100], 'notes.txt': [9e6, 100], 'web.stdout.log': [9e6, 1] };
  const { left, removed } = await prune(t, files, {}, { otherRetention: { ...ALL, keep_for_ms: 1, keep_files: 0 } });
  assert.deepEqual([left.length, removed.length], [3, 0]);
  const gone = await prune(t, {}, {}, { logDir: '/nonexistent/log' });
  assert.deepEqual(gone.removed, []);
});
