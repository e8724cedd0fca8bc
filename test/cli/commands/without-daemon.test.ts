import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** Commands where no daemon is running and none is needed: exit code and what is printed. */
const EXPECTED: readonly [command: string, exitCode: number, stdout: RegExp, stderr: RegExp][] = [
  ['status', 0, /^no services are known for .*; to start those of a config: monocore start\n$/, /^$/],
  ['status --json', 0, /^\{"services":\[\]\}\n$/, /^$/],
  ['stop --all', 0, /^no services are running\n$/, /^$/],
  ['stop', 2, /^$/, /no config here.*\n.*--all/],
  ['stop web', 0, /^no services are running\n$/, /^$/],
  ['restart --all', 3, /^$/, /no daemon is running.*\n.*monocore start/],
  ['remove --all', 0, /^nothing to remove\n$/, /^$/],
  ['logs', 3, /^$/, /no daemon is running.*\n.*monocore start\n/],
  ['daemon status', 3, /^$/, /no daemon is running/],
  ['daemon stop', 0, /^no daemon is running\n$/, /^$/],
  ['daemon stop --leave-running', 0, /^no daemon is running\n$/, /^$/],
];

for (const [command, expectedCode, expectedStdout, expectedStderr] of EXPECTED) {
  test(`"${command}" starts no daemon where none runs`, async (t) => {
    const home = await makeTempDir(t);
    const { exitCode, stdout, stderr } = await runCli(['--home', home, ...command.split(' ')]);
    assert.match(stdout.toString(), expectedStdout);
    assert.match(stderr, expectedStderr);
    assert.equal(exitCode, expectedCode);
    assert.deepEqual(await readdir(home), []);
  });
}

for (const [verb, option] of [
  ['status', '-f'],
  ['restart', '-f'],
  ['logs', '--file'],
] as const) {
  test(`the hint of ${verb} names the config that it was given`, async (t) => {
    const home = await makeTempDir(t);
    const dir = await makeTempDir(t);
    const file = join(dir, 'the shop.toml');
    await writeFile(file, '[[service]]\nname = "web"\ncommand = "true"\n');
    const { stdout, stderr } = await runCli(['--home', home, verb, option, file]);
    assert.ok(`${stdout}${stderr}`.includes(`monocore start -f '${file}'`), `${stdout}${stderr}`);
  });
}
