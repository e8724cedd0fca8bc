import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import test from 'node:test';
import { SETUP_SCRIPT } from '../../../src/lib/package-info.ts';
import { findProgram } from '../../../src/vm/host/host-tools.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

for (const exitCode of [0, 1]) {
  test(`setup runs the set-up script for the home and ends like it: ${exitCode}`, async (t) => {
    const dir = await makeTempDir(t);
    const bash = join(dir, 'bash');
    await writeFile(bash, `#!/bin/sh\necho "$MONOCORE_HOME" "$@"\nexit ${exitCode}\n`);
    await chmod(bash, 0o755);
    const env = { PATH: `${dir}${delimiter}${process.env.PATH}` };
    const result = await runCli(['setup', '--home', join(dir, 'home')], { env });
    assert.equal(result.exitCode, exitCode, result.stderr);
    assert.equal(result.stdout.toString().split('\n')[0], `${join(dir, 'home')} ${SETUP_SCRIPT} --host`);
  });
}

test('setup without bash says what is missing', async (t) => {
  const { exitCode, stderr } = await runCli(['setup'], { env: { PATH: await makeTempDir(t) } });
  assert.equal(exitCode, 1);
  assert.match(stderr, /the set-up script cannot run: .*; install bash/);
});

test('the script of an installed package names everything that a host without packages lacks', async (t) => {
  const dir = await makeTempDir(t);
  const script = join(dir, 'package/scripts/setup.sh');
  await mkdir(dirname(script), { recursive: true });
  await cp(SETUP_SCRIPT, script);
  // Neither apt-get nor QEMU.
  const bin = join(dir, 'bin');
  await mkdir(bin);
  for (const name of ['bash', 'cat', 'dirname', 'ldd', 'uname']) {
    await symlink(findProgram(name)!, join(bin, name));
  }
  await symlink(process.execPath, join(bin, 'node'));
  const { status, stdout, stderr } = spawnSync(join(bin, 'bash'), [script, '--host'], {
    env: { PATH: bin, MONOCORE_HOME: dir },
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^ {2}qemu-system-\S+ +qemu-system-\S+, which runs the VMs$/m);
  // The quick start is part of a checkout only.
  assert.doesNotMatch(stderr, /quickstart|command not found/);
});

test('the script refuses words that it does not know, behind an option as well', () => {
  for (const words of [['--hots'], ['--host', 'more']]) {
    const { status, stderr } = spawnSync('bash', [SETUP_SCRIPT, ...words], { encoding: 'utf8' });
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^usage: /);
  }
});
