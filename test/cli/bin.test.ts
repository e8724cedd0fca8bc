import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { sendJson, startFakeDaemon } from '../helpers/fakes/fake-daemon.ts';
import { makeService } from '../helpers/fakes/listed-services.ts';
import { runCli } from '../helpers/processes/run-cli.ts';
import { makeTempDir } from '../helpers/temp.ts';

/** Command lines with a mistake, and the text of the error. */
const WRONG_USAGE: readonly [string[], RegExp][] = [
  [['strat'], /unknown command 'strat'; did you mean "start"\?\n/],
  [['images', 'lod'], /images has no command "lod"; did you mean "load"\?\n/],
  [['status', '--jsn'], /unknown option '--jsn'; did you mean "--json"\?\n/],
  [['logs', '-n', 'many'], /'many' is invalid/],
  [['stop', '-t', 'soon'], /'soon' is invalid/],
  [['status', 'web', '--group', 'demo'], /not both/],
  [['daemon', 'run', '--log-level', 'loud'], /'loud' is invalid/],
  [['daemon', 'install', '--user', '--system'], /'--user' cannot be used with option '--system'/],
  [['doctor', 'who'], /too many arguments/],
];

for (const [args, message] of WRONG_USAGE) {
  test(`wrong usage exits with 2 and says what is wrong: ${args.join(' ')}`, async () => {
    const { exitCode, stdout, stderr } = await runCli(args);
    assert.equal(exitCode, 2);
    assert.equal(stdout.toString(), '');
    assert.match(stderr, message);
    assert.match(stderr, /^monocore: /);
    assert.doesNotMatch(stderr, /\n +at /);
  });
}

test('without a command the help is an error, with --help it is the answer', async () => {
  const without = await runCli([]);
  assert.equal(without.exitCode, 2);
  assert.match(without.stderr, /Usage: monocore/);
  const help = await runCli(['--help']);
  assert.equal(help.exitCode, 0);
  assert.match(help.stdout.toString(), /Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n {2}130 /);
  assert.equal(help.stderr, '');
});

test('the version is that of the package', async () => {
  const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;
  const { exitCode, stdout } = await runCli(['--version']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), `${version}\n`);
});

test('an outdated Node is reported before anything else is loaded', async () => {
  const pretend = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.18.1' } })";
  const { exitCode, stdout, stderr } = await runCli(['--version'], {
    nodeOptions: ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`],
  });
  assert.equal(exitCode, 1);
  assert.equal(stdout.toString(), '');
  assert.equal(stderr, 'monocore: Node.js 20.19 or newer is needed, this is 20.18.1\n');
});

test('the home can be given before and after the command, and in the environment', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
  });
  const runs = [
    await runCli(['--home', home, 'status']),
    await runCli(['status', '--home', home]),
    await runCli(['status'], { env: { MONOCORE_HOME: home } }),
    await runCli(['daemon', 'status', '--home', home]),
  ];
  assert.deepEqual(
    runs.map(({ exitCode }) => exitCode),
    [0, 0, 0, 0],
    runs.map(({ stderr }) => stderr).join(''),
  );
  assert.equal(daemon.requests.filter(({ url }) => url.startsWith('/v1/services')).length, 3);
});

test("a home whose socket's path would be cut off is refused", async (t) => {
  const home = join(await makeTempDir(t), 'x'.repeat(100));
  const { exitCode, stderr } = await runCli(['--home', home, 'status']);
  assert.equal(exitCode, 3);
  assert.match(stderr, /too long/);
});

test('a home that is a file is refused', async (t) => {
  const home = join(await makeTempDir(t), 'file');
  await writeFile(home, '');
  const { exitCode, stderr } = await runCli(['--home', home, 'status']);
  assert.equal(exitCode, 3);
  assert.match(stderr, /is not a folder; choose another with --home\n/);
});

test('a stack trace is shown only for debugging', async (t) => {
  const home = await makeTempDir(t);
  const { exitCode, stderr } = await runCli(['--home', home, 'daemon', 'status'], { env: { MONOCORE_DEBUG: '1' } });
  assert.equal(exitCode, 3);
  assert.match(stderr, /\n +at /);
});
