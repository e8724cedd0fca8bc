import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { watchFiles } from '../../src/cli/file-watch.ts';
import { makeTempDir } from '../helpers/temp.ts';

async function prepare(t: TestContext) {
  const dir = await makeTempDir(t);
  const path = join(dir, 'monocore.toml');
  writeFileSync(path, 'one');
  const end = new AbortController();
  const watched = watchFiles([path], end.signal);
  t.after(() => watched.close());
  return { dir, path, watched, end };
}

test('a file that is written, replaced, or removed and made again has changed', async (t) => {
  const { dir, path, watched } = await prepare(t);
  writeFileSync(path, 'longer than before');
  assert.equal(await watched.next(), true);
  writeFileSync(join(dir, 'new'), 'two');
  renameSync(join(dir, 'new'), path);
  assert.equal(await watched.next(), true);
  rmSync(path);
  writeFileSync(path, 'quite another one');
  assert.equal(await watched.next(), true);
});

test('a link with a new target is a change', async (t) => {
  const dir = await makeTempDir(t);
  for (const version of ['1', '2']) {
    mkdirSync(join(dir, version));
    writeFileSync(join(dir, version, 'monocore.toml'), version);
  }
  symlinkSync('1', join(dir, 'current'));
  symlinkSync('current/monocore.toml', join(dir, 'monocore.toml'));
  const watched = watchFiles([join(dir, 'monocore.toml')], new AbortController().signal);
  t.after(() => watched.close());
  symlinkSync('2', join(dir, 'next'));
  renameSync(join(dir, 'next'), join(dir, 'current'));
  assert.equal(await watched.next(), true);
});

test('a file behind a link in another folder has changed when it is written', async (t) => {
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'real'));
  writeFileSync(join(dir, 'real/shop.toml'), 'one');
  symlinkSync('real/shop.toml', join(dir, 'monocore.toml'));
  const watched = watchFiles([join(dir, 'monocore.toml')], new AbortController().signal);
  t.after(() => watched.close());
  writeFileSync(join(dir, 'real/shop.toml'), 'longer than before');
  assert.equal(await watched.next(), true);
});

test('a folder that takes the place of another one is watched in its stead', async (t) => {
  const dir = await makeTempDir(t);
  for (const folder of ['conf', 'next']) {
    mkdirSync(join(dir, folder));
    writeFileSync(join(dir, folder, 'shop.toml'), folder);
  }
  const path = join(dir, 'conf/shop.toml');
  const watched = watchFiles([path], new AbortController().signal);
  t.after(() => watched.close());
  renameSync(join(dir, 'conf'), join(dir, 'old'));
  renameSync(join(dir, 'next'), join(dir, 'conf'));
  assert.equal(await watched.next(), true);
  writeFileSync(path, 'longer than before');
  assert.equal(await watched.next(), true);
});

test('each of several files is watched, also one that does not exist yet, and none that was taken out', async (t) => {
  const { dir, path, watched, end } = await prepare(t);
  mkdirSync(join(dir, 'envs'));
  const [added, removed] = [join(dir, 'envs/added'), join(dir, 'envs/removed')];
  writeFileSync(removed, 'one');
  watched.setFiles([path, removed]);
  writeFileSync(removed, 'longer than before');
  assert.equal(await watched.next(), true);
  watched.setFiles([path, added]);
  writeFileSync(added, 'one');
  assert.equal(await watched.next(), true);
  writeFileSync(removed, 'longer than ever');
  const next = watched.next();
  end.abort();
  assert.equal(await next, false);
});

test('what happens beside the file is no change, and a change that nobody waited for is told later', async (t) => {
  const { dir, path, watched, end } = await prepare(t);
  writeFileSync(join(dir, 'another'), 'x');
  utimesSync(path, 1, 1);
  assert.equal(await watched.next(), true);
  writeFileSync(join(dir, 'another'), 'xy');
  const next = watched.next();
  end.abort();
  assert.equal(await next, false, 'nothing came but the end');
});
