import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { parseFailure } from '../../../src/cli/daemon/process.ts';
import { makeDaemonStatus, sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('daemon status prints what the daemon says of itself', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home);
  const { exitCode, stdout } = await runCli(['--home', home, 'daemon', 'status']);
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), new RegExp(`^PID +${process.pid}\n`));
  const json = await runCli(['--home', home, 'daemon', 'status', '--json']);
  assert.deepEqual(JSON.parse(json.stdout.toString()), makeDaemonStatus(home));
});

test('a daemon that cannot start tells its error for people, and in the background for programs', async (t) => {
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

for (const leave_running of [false, true]) {
  test(`daemon stop waits until the daemon has ended, leave_running: ${leave_running}`, async (t) => {
    const home = await makeTempDir(t);
    // Stands for the daemon's process: ends when its stdin does.
    const daemonProcess = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = once(daemonProcess, 'exit');
    let hasEnded = false;
    const daemon = await startFakeDaemon(t, home, {
      'GET /v1/daemon': (response) => sendJson(response, makeDaemonStatus(home, { pid: daemonProcess.pid! })),
      'POST /v1/daemon/stop': (response) => {
        sendJson(response, {});
        // After the answer: the command sees a daemon that is still there.
        response.on('finish', () =>
          setImmediate(() => {
            hasEnded = true;
            daemonProcess.stdin.end();
          }),
        );
      },
    });
    const { exitCode, stdout } = await runCli([
      ...['--home', home, 'daemon', 'stop'],
      ...(leave_running ? ['--leave-running'] : []),
    ]);
    assert.equal(exitCode, 0);
    assert.ok(hasEnded);
    await ended;
    assert.match(stdout.toString(), leave_running ? /VMs keep running/ : /^the daemon has ended\n$/);
    assert.deepEqual(daemon.requests.at(-1)?.body, { leave_running });
  });
}
