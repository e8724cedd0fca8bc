import assert from 'node:assert/strict';
import test from 'node:test';
import { renderDaemonStatus } from '../../../../src/cli/commands/daemon/status.ts';
import { NO_COLORS } from '../../../../src/cli/render/terminal-text.ts';
import { makeDaemonStatus, startFakeDaemon } from '../../../helpers/fakes/fake-daemon.ts';
import { runCli } from '../../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

test('daemon status prints the report of the daemon', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home);
  const { exitCode, stdout } = await runCli(['--home', home, 'daemon', 'status']);
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), new RegExp(`^PID +${process.pid}\n`));
  const json = await runCli(['--home', home, 'daemon', 'status', '--json']);
  assert.deepEqual(JSON.parse(json.stdout.toString()), makeDaemonStatus(home));
});

test("the daemon's status names its process, home, age and threads", () => {
  const status = {
    pid: 42,
    version: '1.2.3',
    started_at: '2026-11-23T08:00:00.000Z',
    home: '/home/me/.monocore',
    services: 3,
    threads: [
      { name: 'logs', state: 'ready', restarts: 0 },
      { name: 'api', state: 'restarting', restarts: 2 },
      { name: 'net', state: 'stopped', restarts: 0 },
    ],
  } as const;
  assert.equal(
    renderDaemonStatus(status, Date.parse('2026-11-23T09:30:00.000Z'), NO_COLORS),
    [
      'PID          42',
      'Version      1.2.3',
      'Home         /home/me/.monocore',
      'Started      2026-11-23T08:00:00.000Z (1h 30m ago)',
      'Services     3',
      'Thread logs  ready',
      'Thread api   restarting, restarted 2 times',
      'Thread net   not in use',
      '',
    ].join('\n'),
  );
});
