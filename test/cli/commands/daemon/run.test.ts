import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { parseFailure } from '../../../../src/cli/daemon/process.ts';
import { runCli } from '../../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

test('a daemon that cannot start reports its error as text, and in the background as JSON', async (t) => {
  const file = join(await makeTempDir(t), 'file');
  await writeFile(file, '');
  const home = join(file, 'home');
  const foreground = await runCli(['--home', home, 'daemon', 'run']);
  assert.equal(foreground.exitCode, 3);
  assert.match(foreground.stderr, /^monocore: .*home/);
  const background = await runCli(['--home', home, 'daemon', 'run', '--background']);
  assert.equal(background.exitCode, 3);
  assert.equal(parseFailure(background.stderr, '').code, 'HomeUnusable');
});
