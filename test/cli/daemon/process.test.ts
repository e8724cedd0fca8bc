import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DaemonClient } from '../../../src/cli/client.ts';
import {
  awaitUnit,
  type DaemonCommand,
  ownDaemonCommand,
  parseFailure,
  startDaemon,
} from '../../../src/cli/daemon/process.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { TYPESCRIPT_OPTIONS } from '../../helpers/processes/typescript.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const fixture = fileURLToPath(new URL('../../fixtures/daemon.ts', import.meta.url));

async function prepare(t: TestContext, behaviour: string) {
  // A home that does not exist yet.
  const home = join(await makeTempDir(t), 'home');
  const paths = new HomePaths(home);
  const client = new DaemonClient(paths.socket);
  const args = [...TYPESCRIPT_OPTIONS, fixture, behaviour, home];
  const command: DaemonCommand = { execPath: process.execPath, args, cwd: process.cwd() };
  return { home, paths, client, command };
}

test('a daemon that is started outlives the start and answers', async (t) => {
  const { paths, client, command, home } = await prepare(t, 'answer');
  const status = await startDaemon(paths, client, command);
  const answer = await client.daemon();
  await client.stopDaemon({ leave_running: false });
  assert.equal(status.home, home);
  assert.notEqual(status.pid, process.pid);
  assert.equal(answer.pid, status.pid);
});

test('the error of a daemon that cannot start is reported at once', async (t) => {
  const { paths, client, command } = await prepare(t, 'refuse');
  await assert.rejects(startDaemon(paths, client, command), {
    code: 'HomeUnusable',
    message: 'the home is on a full disk',
  });
});

test('the output of a daemon that crashes is shown', async (t) => {
  const { paths, client, command } = await prepare(t, 'crash');
  await assert.rejects(startDaemon(paths, client, command), {
    code: 'DaemonUnreachable',
    message: /exit code 1.*\nSegmentation fault, or so$/,
  });
});

test('a program that does not exist is an error with its name', async (t) => {
  const { paths, client } = await prepare(t, 'answer');
  const command = { execPath: '/nonexistent/node', args: [], cwd: process.cwd() };
  await assert.rejects(startDaemon(paths, client, command), {
    code: 'DaemonUnreachable',
    message: /\/nonexistent\/node/,
  });
});

test("when another's daemon takes the home first, that one is used", async (t) => {
  const { paths, client, command, home } = await prepare(t, 'find-running');
  const starting = startDaemon(paths, client, command);
  if (!existsSync(join(home, 'found'))) {
    for await (const { filename } of watch(home)) if (filename === 'found') break;
  }
  await startFakeDaemon(t, home);
  assert.equal((await starting).pid, process.pid);
});

test('when the daemon that held the home ends, a new one is started after it', async (t) => {
  const { paths, client, command, home } = await prepare(t, 'find-running-once');
  const status = await startDaemon(paths, client, command);
  await client.stopDaemon({ leave_running: false });
  assert.equal(status.home, home);
});

test('a home that cannot be created is an error', async (t) => {
  const file = join(await makeTempDir(t), 'file');
  await writeFile(file, '');
  const paths = new HomePaths(join(file, 'home'));
  await assert.rejects(startDaemon(paths, new DaemonClient(paths.socket)), { code: 'HomeUnusable' });
});

test('the error of a daemon is found among other output, else the output is the error', () => {
  const reply = { error: { code: 'ToolMissing', message: 'no', details: null, cause_code: null } };
  assert.equal(parseFailure(`(node:1) Warning\n${JSON.stringify(reply)}\n`, 'exit code 1').code, 'ToolMissing');
  assert.equal(parseFailure('', 'SIGKILL').message, 'the daemon ended at once (SIGKILL)');
  assert.match(parseFailure('{"error":{"co', 'exit code 1').message, /\{"error":\{"co$/);
});

test("a daemon is this program with the caller's options of Node", () => {
  const { execPath, args } = ownDaemonCommand('/home/me/.monocore');
  assert.equal(execPath, process.execPath);
  assert.deepEqual(args.slice(0, process.execArgv.length), process.execArgv);
  assert.deepEqual(args.slice(-5), ['--home', '/home/me/.monocore', 'daemon', 'run', '--background']);
});

test('a service manager that hangs is not waited for, and one that answers is heard', async (t) => {
  const { client } = await prepare(t, 'answer');
  const dir = await makeTempDir(t);
  const unit = (name: string, script: string) => {
    const manager = join(dir, name);
    writeFileSync(manager, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { name: 'monocore.service', manager };
  };
  await assert.rejects(awaitUnit(unit('hanging', 'exec sleep 1000'), client, 200), {
    code: 'CallTimeout',
    message: /hanging is-active monocore\.service did not answer in 0\.2 s: .*; try it by hand$/,
  });
  assert.equal(await awaitUnit(unit('stopped', 'echo inactive; exit 3'), client), null);
  assert.equal(await awaitUnit({ name: 'monocore.service', manager: '/nonexistent/systemctl' }, client), null);
});
