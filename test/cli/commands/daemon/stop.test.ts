import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { makeDaemonStatus, sendJson, startFakeDaemon } from '../../../helpers/fakes/fake-daemon.ts';
import { runCli } from '../../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

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
    assert.match(stdout.toString(), leave_running ? /its services were left as they are/ : /^the daemon has ended\n$/);
    assert.deepEqual(daemon.requests.at(-1)?.body, { leave_running });
  });
}
