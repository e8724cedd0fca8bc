import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { runCli } from '../../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

/** A user's folder for configuration, and `daemon install` for that user. */
async function prepare(t: TestContext) {
  const dir = await makeTempDir(t);
  const config = join(dir, 'config');
  const home = join(dir, 'home');
  return {
    dir,
    home,
    path: join(config, 'systemd', 'user', 'monocore.service'),
    install: (...args: string[]) =>
      runCli(['--home', home, 'daemon', 'install', '--user', ...args], { env: { XDG_CONFIG_HOME: config, HOME: dir } }),
  };
}

test('the unit is written and printed with the next steps', async (t) => {
  const { home, path, install } = await prepare(t);
  const { exitCode, stdout, stderr } = await install('--log-level', 'warn', '--log-workers', '2');
  assert.deepEqual([exitCode, stderr], [0, '']);
  const unit = readFileSync(path, 'utf8');
  assert.match(unit, new RegExp(`^ExecStart=/.* --home ${home} daemon run --log-level warn --log-workers 2$`, 'm'));
  assert.equal(
    stdout.toString(),
    `${path}:\n\n${unit}\nnext:\n` +
      '  systemctl --user daemon-reload\n' +
      '  systemctl --user enable --now monocore.service\n' +
      '  loginctl enable-linger    # keeps it running while you are logged out\n',
  );
});

test('--print prints the unit alone, and writes nothing', async (t) => {
  const { path, install } = await prepare(t);
  const { exitCode, stdout } = await install('--print', '--leave-running');
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /^# Written by .*\n\[Unit\]\n/);
  assert.match(stdout.toString(), / daemon run .* --leave-running\n/);
  assert.equal(lstatSync(dirname(path), { throwIfNoEntry: false }), undefined);
});

test('without XDG_CONFIG_HOME the unit is in ~/.config', async (t) => {
  const { dir, home } = await prepare(t);
  const env = { XDG_CONFIG_HOME: 'not/absolute', HOME: dir };
  assert.equal((await runCli(['--home', home, 'daemon', 'install', '--user'], { env })).exitCode, 0);
  readFileSync(join(dir, '.config/systemd/user/monocore.service'));
});

test('a unit that monocore wrote is overwritten', async (t) => {
  const { path, install } = await prepare(t);
  await install();
  assert.equal((await install('--log-level', 'debug')).exitCode, 0);
  assert.match(readFileSync(path, 'utf8'), /--log-level debug/);
});

test('a unit that monocore did not write is overwritten only with --force', async (t) => {
  const { path, install } = await prepare(t);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '[Service]\nExecStart=/bin/true\n');
  const refused = await install();
  assert.equal(refused.exitCode, 2);
  assert.equal(refused.stdout.toString(), '');
  assert.match(refused.stderr, /monocore\.service exists, and monocore did not write it\n.*--force/);
  assert.equal(readFileSync(path, 'utf8'), '[Service]\nExecStart=/bin/true\n');
  assert.equal((await install('--force')).exitCode, 0);
  assert.match(readFileSync(path, 'utf8'), /^# Written by /);
});

test('a masked unit stays masked without --force', async (t) => {
  const { path, install } = await prepare(t);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync('/dev/null', path);
  assert.equal((await install()).exitCode, 2);
  assert.ok(lstatSync(path).isSymbolicLink());
  assert.equal((await install('--force')).exitCode, 0);
  assert.ok(lstatSync(path).isFile());
});

test('an unwritable folder is an error', async (t) => {
  const { dir, install } = await prepare(t);
  writeFileSync(join(dir, 'config'), '');
  const { exitCode, stderr } = await install();
  assert.equal(exitCode, 2);
  assert.match(stderr, /cannot be written: .*\n.*--print/);
});

test('a home that no unit can name is refused', async (t) => {
  const { dir } = await prepare(t);
  const { exitCode, stderr } = await runCli(['--home', join(dir, 'a\nb'), 'daemon', 'install', '--print']);
  assert.equal(exitCode, 2);
  assert.match(stderr, /control characters/);
});
