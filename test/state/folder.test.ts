import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeFolder, makePrivateFolder } from '../../src/state/folder.ts';
import { runCli } from '../helpers/processes/run-cli.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('a folder is made with those above it, and one that is there stays as it is', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'a/b/c');
  makeFolder(path, 0o750);
  assert.equal(statSync(path).mode & 0o777, 0o750);
  assert.equal(statSync(join(dir, 'a')).mode & 0o777, 0o750);
  makeFolder(path, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o750);
});

test('the mode of a folder does not depend on the umask', async (t) => {
  const dir = await makeTempDir(t);
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  makeFolder(join(dir, 'home/log'), 0o755);
  for (const made of ['home', 'home/log']) assert.equal(statSync(join(dir, made)).mode & 0o777, 0o755);
});

test('a link to a folder is one; a file, and a link that leads nowhere, are none', async (t) => {
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'real'));
  symlinkSync('real', join(dir, 'link'));
  makeFolder(join(dir, 'link/sub'), 0o755);
  assert.ok(statSync(join(dir, 'real/sub')).isDirectory());
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('nowhere', join(dir, 'dangling'));
  for (const name of ['file', 'dangling']) {
    assert.throws(() => makeFolder(join(dir, name), 0o755), { code: 'EEXIST' });
    assert.throws(() => makeFolder(join(dir, name, 'sub'), 0o755), { code: /^(ENOTDIR|EEXIST)$/ });
  }
});

test('a home where no folder can be made is refused at once', { timeout: 30_000 }, async (t) => {
  const config = join(await makeTempDir(t), 'monocore.toml');
  writeFileSync(config, '[[service]]\nname = "web"\ncommand = "true"\n');
  for (const home of ['/proc/monocore/home', '/proc/self/task']) {
    for (const command of [
      ['start', '-f', config],
      ['daemon', 'run'],
    ]) {
      const { exitCode, stderr } = await runCli(['--home', home, ...command]);
      assert.equal(exitCode, 3);
      assert.match(stderr, /^monocore: the home .* cannot be (created|written)/);
    }
  }
});

test('a private folder that is there loses what others may do in it, and gains nothing', async (t) => {
  const path = join(await makeTempDir(t), 'home');
  const modeWith = (mode: number) => {
    makePrivateFolder(path, mode);
    return statSync(path).mode & 0o777;
  };
  assert.equal(modeWith(0o755), 0o755);
  chmodSync(path, 0o777);
  assert.equal(modeWith(0o755), 0o755);
  assert.equal(modeWith(0o700), 0o700);
  assert.equal(modeWith(0o755), 0o700);
});
