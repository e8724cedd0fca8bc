import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { emulator } from '../../../helpers/processes/test-program.ts';

function runAs(architecture: string, args: readonly string[]) {
  const path = `../../../../workers/jobs/guest-image/run-as/${architecture}/run-as`;
  const [program, ...words] = [...emulator(architecture), fileURLToPath(new URL(path, import.meta.url)), ...args];
  return spawnSync(program!, words, { encoding: 'utf8', cwd: '/', env: { PATH: process.env.PATH, MARK: 'a b' } });
}

for (const architecture of ['x64', 'arm64']) {
  const run = (...args: string[]) => runAs(architecture, args);

  test(`run-as for ${architecture} switches to numeric ids and passes arguments and environment on`, () => {
    const show = 'echo "$(id -u) $(id -g) $(id -G)|$0|$1|$MARK"';
    assert.equal(
      run('54321:12345:7:4', '/bin/sh', '-c', show, 'zero', "it's").stdout,
      "54321 12345 12345 4 7|zero|it's|a b\n",
    );
    assert.equal(run('4294967294:0', '/bin/sh', '-c', 'id -u').stdout, '4294967294\n');
    assert.equal(run(`1${':1'.repeat(1024)}`, '/bin/true').status, 0);
  });

  test(`run-as for ${architecture} refuses what is not a list of ids`, () => {
    const refused = 'monocore: the user of the command cannot be set\n';
    for (const user of ['1', '1:', ':1', '1:a', '1:2:', '4294967296:0', '-1:0', '', `1${':1'.repeat(1025)}`]) {
      const { status, stderr } = run(user, '/bin/true');
      assert.deepEqual([status, stderr], [126, refused], user.slice(0, 20));
    }
    assert.equal(run('1:1').status, 126);
  });

  test(`run-as for ${architecture} reports why a program cannot be executed`, () => {
    assert.equal(run('1:1', '/none').status, 127);
    const { status, stderr } = run('1:1', '/etc/passwd');
    assert.deepEqual([status, stderr], [126, 'monocore: the command cannot be executed by its user\n']);
  });
}
