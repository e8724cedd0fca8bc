import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { FIRST_CONFIG } from '../../../src/cli/commands/init.ts';
import { SHIPPERS, shipperConfig } from '../../../src/manual/shippers.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('init writes a first config that is valid, and leaves an existing one alone', async (t) => {
  const cwd = await makeTempDir(t);
  const path = join(cwd, 'monocore.toml');
  const run = (...args: string[]) => runCli(args, { cwd });
  const first = await run('init');
  assert.equal(first.exitCode, 0, first.stderr);
  assert.equal(first.stdout.toString(), 'wrote monocore.toml; to boot it: monocore start\n');
  assert.equal(readFileSync(path, 'utf8'), readFileSync(FIRST_CONFIG, 'utf8'));
  assert.ok(!readFileSync(path, 'utf8').includes('${'), 'a reference in a comment would make starts read .env');
  assert.match((await run('config', 'check')).stdout.toString(), /^monocore\.toml is valid: 1 service/);

  writeFileSync(path, '# mine\n');
  const second = await run('init');
  assert.equal(second.exitCode, 2);
  assert.match(second.stderr, /monocore\.toml exists already and was left as it is/);
  assert.equal(readFileSync(path, 'utf8'), '# mine\n');
  assert.match((await run('init', '-f', 'monocore.toml')).stderr, /exists already/);
});

test('init writes where -f says, only TOML, and only into a folder that is there', async (t) => {
  const cwd = await makeTempDir(t);
  const run = (...args: string[]) => runCli(['init', '-f', ...args], { cwd });
  assert.equal((await run('other.toml')).exitCode, 0);
  assert.match((await run('other.yaml')).stderr, /other\.yaml does not end in \.toml/);
  assert.match((await run('gone/other.toml')).stderr, /cannot be written: there is no folder /);
});

test('init leaves a folder alone that has a config in another language', async (t) => {
  const cwd = await makeTempDir(t);
  writeFileSync(join(cwd, 'monocore.yaml'), '');
  const { exitCode, stderr } = await runCli(['init'], { cwd });
  assert.equal(exitCode, 2);
  assert.match(stderr, /monocore\.yaml exists already/);
  assert.deepEqual(readdirSync(cwd), ['monocore.yaml']);
});

test('init --shipper prints the config of a shipper for the logs of the home, and writes nothing', async (t) => {
  const cwd = await makeTempDir(t);
  for (const shipper of SHIPPERS) {
    const { exitCode, stdout } = await runCli(['--home', cwd, 'init', '--shipper', shipper.name], { cwd });
    assert.equal(exitCode, 0);
    assert.equal(stdout.toString(), shipperConfig(shipper, join(cwd, 'log')));
  }
  assert.deepEqual(readdirSync(cwd), []);
});

test('init --shipper without a name lists the shippers, and names them where one is unknown', async () => {
  const list = await runCli(['init', '--shipper']);
  assert.equal(list.exitCode, 0);
  const names = SHIPPERS.map(({ name }) => name);
  assert.deepEqual(list.stdout.toString().match(/^\S+/gm), names);

  const { exitCode, stderr } = await runCli(['init', '--shipper', 'rsylog']);
  assert.equal(exitCode, 2);
  assert.match(stderr, /no config for the shipper "rsylog"; did you mean "rsyslog"\?/);
  assert.ok(stderr.includes(names.join(', ')), stderr);
});
