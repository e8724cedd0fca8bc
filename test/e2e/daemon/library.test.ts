/** The manual's library example, run as it stands there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shareKernel } from '../../helpers/home.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

it('runs the example of the manual, with a microVM', async (t) => {
  const example = /```ts\n([\s\S]+?)```/.exec(readFileSync(join(root, 'src/manual/library.md'), 'utf8'))?.[1];
  assert.ok(example, 'the page has an example');
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(root, join(dir, 'node_modules/monocore'));
  mkdirSync(join(dir, 'home'));
  shareKernel(join(dir, 'home'));
  writeFileSync(join(dir, 'monocore.toml'), '[[service]]\nname = "greeter"\ncommand = "echo"\nargs = ["hello"]\n');
  writeFileSync(join(dir, 'example.mjs'), example);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['example.mjs'], { cwd: dir, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /greeter Starting\n[\s\S]*greeter Started\n[\s\S]*greeter Stopped\n/);
  // The example stops it as soon as it runs, so it may not have come to print anything.
  assert.match(readFileSync(join(dir, 'home/log/greeter.stdout.log'), 'utf8'), /^(\S+ INFO \[greeter\] hello\n)?$/);
});
