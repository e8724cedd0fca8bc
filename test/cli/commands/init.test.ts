import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { FIRST_CONFIG } from '../../../src/cli/commands/init.ts';
import { SHIPPERS, shipperConfig } from '../../../src/manual/shippers.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('init writes a first config, and leaves one that is there', async (t) => {
  const cwd = await makeTempDir(t);
  const path = join(cwd, 'monocore.toml');
  const first = await runCli(['init'], { cwd });
  assert.equal(first.exitCode, 0, first.stderr);
  assert.equal(readFileSync(path, 'utf8'), FIRST_CONFIG);
  const second = await runCli(['init'], { cwd });
  assert.equal(second.exitCode, 2);
  assert.match(second.stderr, /monocore\.toml exists already/);
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
