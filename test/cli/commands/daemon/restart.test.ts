import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DaemonClient } from '../../../../src/cli/client.ts';
import { ownDaemonCommand, startDaemon } from '../../../../src/cli/daemon/process.ts';
import { packageVersion } from '../../../../src/lib/package-info.ts';
import type { DaemonSettings } from '../../../../src/protocol/http.ts';
import { HomePaths } from '../../../../src/state/paths.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { makeDaemonStatus, sendJson, startFakeDaemon } from '../../../helpers/fakes/fake-daemon.ts';
import { findProcesses } from '../../../helpers/processes/command-lines.ts';
import { type CliResult, runCli } from '../../../helpers/processes/run-cli.ts';
import { TYPESCRIPT_OPTIONS } from '../../../helpers/processes/typescript.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';

const fixture = fileURLToPath(new URL('../../../fixtures/daemon.ts', import.meta.url));

/** A home with one plain service in its config, and the command on it. */
async function prepare(t: TestContext) {
  const home = await makeTempDir(t);
  const paths = new HomePaths(home);
  const client = new DaemonClient(paths.socket);
  const run = (...args: string[]): Promise<CliResult> => runCli(['--home', home, ...args]);
  const config = join(home, 'monocore.toml');
  const script = `: ${home}; while :; do sleep 0.1; done`;
  await writeFile(
    config,
    `[[service]]\nname = "web"\nisolation = "none"\ncommand = "/bin/sh"\nargs = ["-c", "${script}"]\n`,
  );
  defer(t, async () => {
    await run('daemon', 'stop');
    for (const { pid } of findProcesses(home)) process.kill(pid, 'SIGKILL');
    await eventually('all processes to end', () => findProcesses(home).length === 0);
  });
  const servicePid = async () => (await client.services({ names: ['web'], group: null })).services[0]?.pid ?? null;
  return { home, paths, client, run, config, servicePid };
}

/** A daemon of an earlier version. */
async function startOldDaemon(t: TestContext, paths: HomePaths, settings?: object): Promise<number> {
  const args = [...TYPESCRIPT_OPTIONS, fixture, 'answer', paths.home, JSON.stringify(settings ?? null)];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await eventually('the socket', () => existsSync(paths.socket));
  return child.pid!;
}

test('a new daemon replaces the old one with its settings, and services keep running', async (t) => {
  const { home, paths, client, run, config, servicePid } = await prepare(t);
  const settings: DaemonSettings = { log_level: 'debug', log_workers: 2, background: true, leave_running: true };
  const old = await startDaemon(paths, client, { ...ownDaemonCommand(home, settings), cwd: process.cwd() });
  await run('start', '-f', config);
  const pid = await servicePid();
  assert.notEqual(pid, null);

  const { exitCode, stdout, stderr } = await run('daemon', 'restart');
  assert.equal(exitCode, 0, stderr);
  const next = await client.daemon();
  const version = packageVersion();
  assert.equal(
    stdout.toString(),
    `monocore ${version} (process ${next.pid}) replaced ${version} (process ${old.pid})\nadopted: web\n`,
  );
  assert.notEqual(next.pid, old.pid);
  assert.deepEqual(next.settings, settings);
  assert.equal(await servicePid(), pid);
});

test('an old daemon that does not report its settings is replaced as well', async (t) => {
  const { paths, client, run } = await prepare(t);
  const oldPid = await startOldDaemon(t, paths);
  const { exitCode, stdout, stderr } = await run('daemon', 'restart');
  assert.equal(exitCode, 0, stderr);
  const { pid, settings } = await client.daemon();
  assert.match(stdout.toString(), new RegExp(`\\(process ${pid}\\) replaced 0\\.0\\.0 \\(process ${oldPid}\\)\n`));
  assert.match(stdout.toString(), /\nno services were running\n$/);
  assert.deepEqual(settings, { log_level: 'info', log_workers: 1, background: true, leave_running: false });
});

test('a new daemon that does not start is an error, which says that the VMs keep running', async (t) => {
  const { paths, run } = await prepare(t);
  await startOldDaemon(t, paths, { log_level: 'loud', log_workers: 1, background: true, leave_running: false });
  const { exitCode, stderr } = await run('daemon', 'restart');
  assert.equal(exitCode, 3);
  assert.match(stderr, /^monocore: the old daemon has ended, but the new one does not start: .*'loud' is invalid/s);
  assert.match(stderr, /the VMs keep running/);
});

test('without a daemon there is nothing to replace', async (t) => {
  const { run, home } = await prepare(t);
  const { exitCode, stdout } = await run('daemon', 'restart');
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'no daemon is running\n');
  assert.deepEqual(findProcesses(home), []);
});

test('services that outlived their daemon get a new one', async (t) => {
  const { client, run, config, servicePid } = await prepare(t);
  await run('start', '-f', config);
  const pid = await servicePid();
  const { pid: daemonPid } = await client.daemon();
  process.kill(daemonPid, 'SIGKILL');
  await eventually('the daemon to be gone', () =>
    client.daemon().then(
      () => false,
      () => true,
    ),
  );
  const { exitCode, stdout } = await run('daemon', 'restart');
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /^no daemon was running; started process \d+\nadopted: web\n$/);
  assert.equal(await servicePid(), pid);
});

test('a daemon in the foreground is left alone, and the error says what to do instead', async (t) => {
  const home = await makeTempDir(t);
  const settings: DaemonSettings = { log_level: 'info', log_workers: 1, background: false, leave_running: false };
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/daemon': (response) => sendJson(response, makeDaemonStatus(home, { settings })),
  });
  const { exitCode, stdout, stderr } = await runCli(['--home', home, 'daemon', 'restart']);
  assert.equal(exitCode, 2);
  assert.equal(stdout.toString(), '');
  assert.match(stderr, /runs in the foreground: only the program that started it can restart it\n/);
  assert.match(stderr, /monocore daemon stop --leave-running; /);
  assert.deepEqual(
    daemon.requests.map(({ method }) => method),
    ['GET'],
  );
});
