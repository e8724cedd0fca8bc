import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { identify, isAlive, isRunning, isSameProcess, signalProcess } from '../../../src/lib/proc.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { makeHome } from '../../../src/state/store.ts';
import { closeAll } from '../../../src/vm/host/fifos.ts';
import { eventually } from '../../helpers/eventually.ts';
import { failFs } from '../../helpers/fakes/fs-fault.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { readCommandLine } from '../../helpers/processes/command-lines.ts';
import { makeFifos } from '../../helpers/processes/fifos.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';
import { openFilesBelow } from '../../helpers/processes/open-files.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { launchProcess, makeRequest, openDriver } from '../../helpers/vm/plain-process.ts';

/** Runs a script to its end; what it printed and how it ended. */
async function run(t: TestContext, script: string, overrides: Partial<Service> = {}) {
  const launched = await launchProcess(t, scriptService('web', script, { isolation: 'none', ...overrides }));
  const { exit } = await launched.event('job-exited');
  launched.vm.release();
  await launched.event('process-ended');
  return { exit, stdout: await launched.read('stdout'), stderr: await launched.read('stderr') };
}

test('what a command prints and how it ends is known', async (t) => {
  assert.deepEqual(await run(t, 'echo out; echo err >&2; exit 3'), {
    exit: { code: 3, signal: null },
    stdout: 'out\n',
    stderr: 'err\n',
  });
});

test('a command that a signal ends has that signal, and the shell says nothing of it', async (t) => {
  assert.deepEqual(await run(t, 'kill -KILL $$'), { exit: { code: 137, signal: 'SIGKILL' }, stdout: '', stderr: '' });
  assert.deepEqual((await run(t, 'kill -SEGV $$')).exit, { code: 139, signal: 'SIGSEGV' });
});

test('arguments and variables arrive byte for byte', async (t) => {
  const odd = `a'b "c" $d \`e\` \\f\ng ü`;
  const { stdout } = await run(t, 'printf "%s|%s|%s" "$1" "$ODD" "$2"', {
    args: ['-c', 'printf "%s|%s|%s" "$1" "$ODD" "$2"', 'sh', odd, ''],
    envs: { ODD: odd },
  });
  assert.equal(stdout, `${odd}|${odd}|`);
});

test('variables are passed on as they are, to probes as well', async (t) => {
  const envs = { VALUE: '<resolved>', PLAIN: `$VALUE $$ \${HOME}` };
  const service = scriptService('web', 'echo "$VALUE $PLAIN"; exec sleep 1000', { isolation: 'none', envs });
  const { vm, firstLine } = await launchProcess(t, service);
  assert.equal(await firstLine('stdout'), `<resolved> $VALUE $$ \${HOME}`);
  const probe = { type: 'exec' as const, command: ['sh', '-c', '[ "$VALUE" = "<resolved>" ]'] };
  assert.equal((await vm.probe(probe, 60_000, new AbortController().signal)).detail, 'exit code 0');
  vm.kill('SIGKILL');
});

test('what only a guest can have is refused', async (t) => {
  const { backend } = await openDriver(t);
  const prepare = (overrides: Partial<Service>) =>
    backend.prepare(makeRequest(scriptService('web', '', { isolation: 'none', ...overrides })));
  const volumes = [{ host: '/tmp', guest: '/data', read_only: true }];
  await assert.rejects(prepare({ volumes }), {
    code: 'StartFailed',
    message: /^web has volumes, which only a VM can have/,
  });
  const secrets = [{ name: 'key', path: '/etc/hostname' }];
  await assert.rejects(prepare({ secrets }), {
    code: 'StartFailed',
    message: /^web has secrets, which only a VM can have/,
  });
});

test('the process stays until it is released, so that its streams stay open', async (t) => {
  const { vm, event, types, read } = await launchProcess(t, scriptService('web', 'echo done', { isolation: 'none' }));
  await event('job-exited');
  assert.equal(isSameProcess(vm.identity), true);
  assert.deepEqual(types(), ['job-started', 'job-exited']);
  vm.release();
  assert.deepEqual((await event('process-ended')).exit, { code: 0, signal: null });
  assert.equal(await read('stdout'), 'done\n');
  assert.deepEqual(types(), ['job-started', 'job-exited', 'process-ended']);
});

test('a signal reaches the command, which may end as it likes', async (t) => {
  const script = 'trap "echo asked; exit 5" TERM; echo ready; while :; do sleep 0.01; done';
  const { vm, event, firstLine, read } = await launchProcess(t, scriptService('web', script, { isolation: 'none' }));
  await firstLine('stdout');
  vm.signalJob('SIGTERM');
  assert.deepEqual((await event('job-exited')).exit, { code: 5, signal: null });
  vm.release();
  await event('process-ended');
  assert.equal(await read('stdout'), 'ready\nasked\n');
});

test('every signal that may ask a command to end does so: none is ignored unless the command says so', async (t) => {
  for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGUSR1: 138, SIGTERM: 143 })) {
    const script = 'grep SigIgn /proc/self/status; exec sleep 1000';
    const { vm, event, read, firstLine } = await launchProcess(t, scriptService('web', script, { isolation: 'none' }));
    await firstLine('stdout');
    vm.signalJob(signal as NodeJS.Signals);
    assert.deepEqual((await event('job-exited')).exit, { code, signal });
    vm.release();
    assert.deepEqual((await event('process-ended')).exit, { code: 0, signal: null }, 'the shim outlives it');
    assert.equal(await read('stdout'), 'SigIgn:\t0000000000000000\n');
  }
});

test('a command that ignores SIGTERM is killed with its group', async (t) => {
  const script = 'trap "" TERM; sleep 1000 & echo $!; wait; while :; do sleep 1; done';
  const { vm, event, firstLine } = await launchProcess(t, scriptService('web', script, { isolation: 'none' }));
  const grandchild = Number(await firstLine('stdout'));
  vm.kill('SIGTERM');
  vm.kill('SIGKILL');
  assert.deepEqual((await event('process-ended')).exit, { code: 137, signal: 'SIGKILL' });
  await eventually('the grandchild to end', () => !isAlive(grandchild));
});

test('what a command leaves running in its group ends with it', async (t) => {
  const { exit, stdout } = await run(t, 'sleep 1000 & echo $!');
  assert.equal(exit.code, 0);
  await eventually('the grandchild to end', () => !isAlive(Number(stdout)));
});

test('what outlives its shim while no daemon runs is ended when that is found', async (t) => {
  const { backend, identity, commandPid, service } = await launchForgotten(t);
  process.kill(identity.pid, 'SIGKILL');
  await eventually('the shim to end', () => !isAlive(identity.pid));
  assert.equal(!isAlive(commandPid), false);
  const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity, runJob: false });
  assert.deepEqual(adoption, { type: 'gone', exit: null });
  await eventually('the command to end', () => !isAlive(commandPid));
});

test('a launch that no daemon noted is ended by its own record, and a process that only mentions its files lives', async (t) => {
  const { backend, paths, identity, service } = await launchForgotten(t);
  const { exitRecord, control } = paths.vm('web');
  const decoy = spawn('sh', ['-c', 'read -r line', exitRecord, `path=${control}`, `--socket-path=${control}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  t.after(() => decoy.kill('SIGKILL'));
  const decoyIdentity = identify(decoy.pid!)!;
  const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity: null, runJob: true });
  assert.equal(adoption.type, 'gone');
  assert.deepEqual([isRunning(identity), isRunning(decoyIdentity)], [false, true]);
});

test('a record of another boot, or of a pid that is in use again, ends nothing', async (t) => {
  const { backend, paths, service } = await launchForgotten(t);
  const { start_time, boot_id, pid } = identify(process.pid)!;
  const otherBoot = boot_id.replaceAll(/[0-9a-f]/g, '0');
  for (const record of [`${pid} ${start_time} ${otherBoot}\n`, `${pid} ${start_time - 1} ${boot_id}\n`]) {
    writeFileSync(paths.vm('web').processRecord, record);
    const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity: null, runJob: true });
    assert.equal(adoption.type, 'gone');
  }
});

test('a group that got the number of a forgotten one is left alone', async (t) => {
  const { backend, identity, service } = await launchForgotten(t);
  // A leader that ends and leaves a member behind.
  const other = spawn('/bin/sh', ['-c', 'sleep 1000 >/dev/null & echo $!'], { detached: true });
  const member = Number(await text(other.stdout));
  t.after(() => process.kill(member, 'SIGKILL'));
  await eventually('its leader to end', () => !isAlive(other.pid!));
  const reused = { ...identity, pid: other.pid! };
  const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity: reused, runJob: false });
  assert.equal(adoption.type, 'gone');
  assert.equal(!isAlive(member), false);
});

test('the exit record is written though the daemon is dead', async (t) => {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  const go = join(paths.home, 'go');
  const script = `until [ -e '${go}' ]; do sleep 0.01; done; exit 7`;
  const daemon = startFixture(t, 'process-launcher.ts', [paths.home, script]);
  const identity = identify(Number(await daemon.readLine()))!;
  t.after(() => signalProcess(identity, 'SIGKILL', 'group'));
  await daemon.kill();
  assert.equal(isSameProcess(identity), true);
  writeFileSync(go, '');
  const record = paths.vm('web').exitRecord;
  await eventually('the record', () => readFileSync(record, 'utf8').includes('exit'));
  assert.match(readFileSync(record, 'utf8'), /^reserved\nstarted \d+\nexit 7\n$/);
});

test('a command whose shim died while no daemon ran does not live on', async (t) => {
  const { paths, backend } = await openDriver(t);
  const daemon = startFixture(t, 'process-launcher.ts', [paths.home, 'exec sleep 1000']);
  const identity = identify(Number(await daemon.readLine()))!;
  t.after(() => signalProcess(identity, 'SIGKILL', 'group'));
  const record = paths.vm('web').exitRecord;
  const command = await eventually('the command', () => {
    const pid = /^started (\d+)\n/m.exec(readFileSync(record, { encoding: 'utf8', flag: 'a+' }))?.[1];
    return pid !== undefined && readCommandLine(Number(pid)).startsWith('sleep') && Number(pid);
  });
  await daemon.kill();
  signalProcess(identity, 'SIGKILL', 'process');
  await eventually('the shim to end', () => !isAlive(identity.pid));
  const service = scriptService('web', 'exec sleep 1000', { isolation: 'none' });
  const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity, runJob: false });
  assert.deepEqual(adoption, { type: 'gone', exit: null });
  await eventually('the command to end', () => !isAlive(command));
});

test('a command whose runtime folder is deleted while it runs is noticed when it ends, with its exit code', async (t) => {
  const dir = await makeTempDir(t);
  const go = join(dir, 'go');
  const script = `while [ ! -e ${go} ]; do sleep 0.02; done; exit 5`;
  const launched = await launchProcess(t, scriptService('web', script, { isolation: 'none' }));
  await launched.event('job-started');
  rmSync(launched.paths.vm('web').dir, { recursive: true });
  writeFileSync(go, '');
  assert.deepEqual((await launched.event('job-exited')).exit, { code: 5, signal: null });
  launched.vm.kill('SIGKILL');
  await launched.event('process-ended');
});

test('a process whose runtime folder was deleted is not taken over, and does not live on', async (t) => {
  const { paths, backend } = await openDriver(t);
  const daemon = startFixture(t, 'process-launcher.ts', [paths.home, 'exec sleep 1000']);
  const identity = identify(Number(await daemon.readLine()))!;
  t.after(() => signalProcess(identity, 'SIGKILL', 'group'));
  await daemon.kill();
  rmSync(paths.vm('web').dir, { recursive: true });
  const service = scriptService('web', 'exec sleep 1000', { isolation: 'none' });
  const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity, runJob: false });
  assert.deepEqual(adoption, { type: 'gone', exit: null });
  assert.equal(!isAlive(identity.pid), true);
});

test('a command inherits no descriptor but its three, and stdin is empty', async (t) => {
  const script = 'for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$fd || echo -; done; cat';
  const { stdout } = await run(t, script);
  const targets = stdout.trimEnd().split('\n');
  assert.deepEqual([targets[0], ...targets.slice(3)], ['/dev/null', '-', '-', '-', '-', '-', '-', '-']);
  assert.deepEqual(
    targets.slice(1, 3).map((target) => target.split('/').at(-1)),
    ['stdout.fifo', 'stderr.fifo'],
  );
  // What whoever runs the tests left open is inherited by every child of this process alike.
  const list = 'ls /proc/self/fd';
  const { stdout: open } = await run(t, list);
  assert.equal(open, execFileSync('/bin/sh', ['-c', list], { encoding: 'utf8' }));
});

test('a command has a session and a process group of its own', async (t) => {
  const { vm, event, firstLine } = await launchProcess(
    t,
    scriptService('web', 'read -r pid name state parent group session rest </proc/$$/stat; echo $group $session', {
      isolation: 'none',
    }),
  );
  assert.equal(await firstLine('stdout'), `${vm.identity.pid} ${vm.identity.pid}`);
  await event('job-exited');
  vm.release();
});

test('of the daemon’s variables only those arrive that a program needs', async (t) => {
  process.env.MONOCORE_TEST_SECRET = 'of somebody else';
  t.after(() => delete process.env.MONOCORE_TEST_SECRET);
  const { stdout } = await run(t, 'cat /proc/self/environ', { envs: { OWN: 'mine', record: 'kept', status: 'kept' } });
  const names = stdout.split('\0').map((entry) => entry.split('=')[0]!);
  assert.ok(names.includes('PATH') && names.includes('OWN'));
  assert.ok(!names.includes('MONOCORE_TEST_SECRET'));
  assert.match(stdout, /\0?record=kept\0/);
  assert.match(stdout, /\0?status=kept\0/);
});

test('the working directory is the service’s', async (t) => {
  const dir = await makeTempDir(t);
  assert.equal((await run(t, 'pwd', { workdir: dir })).stdout, `${dir}\n`);
});

test('a script without a first line runs in a shell; one whose interpreter is missing says so', async (t) => {
  const dir = await makeTempDir(t);
  const writeScript = (name: string, content: string): string => {
    writeFileSync(join(dir, name), content, { mode: 0o755 });
    return join(dir, name);
  };
  const plain = writeScript('plain', 'echo "$0 $*"\n');
  assert.deepEqual(await run(t, '', { command: plain, args: ['one', 'two three'] }), {
    exit: { code: 0, signal: null },
    stdout: `${plain} one two three\n`,
    stderr: '',
  });
  const orphan = writeScript('orphan', '#!/no/such/interpreter\n');
  assert.deepEqual(await run(t, '', { command: orphan, args: [] }), {
    exit: { code: 127, signal: null },
    stdout: '',
    stderr: `monocore: ${orphan} or its interpreter does not exist\n`,
  });
});

test('what cannot be run is refused before anything is made for it', async (t) => {
  const { backend, paths } = await openDriver(t);
  const refuse = (overrides: Partial<Service>) =>
    assert.rejects(backend.prepare(makeRequest(scriptService('web', 'true', overrides))), { code: 'StartFailed' });
  await refuse({ command: 'no-such-command' });
  await refuse({ command: './no-such-command' });
  await refuse({ workdir: '/no/such/folder' });
  assert.equal(existsSync(paths.vm('web').dir), false);
});

test('bytes that nobody has read wait for the next log worker', async (t) => {
  const { backend } = await openDriver(t);
  const prepared = await backend.prepare(makeRequest(scriptService('web', 'echo waiting', { isolation: 'none' })));
  closeAll(prepared.streams.map(({ fd }) => fd));
  const launched = await launchProcess(t, scriptService('web', 'echo waiting'), { prepared });
  await launched.event('job-exited');
  assert.match(await launched.firstLine('stdout', backend.reopenStream('web', 'stdout')), /^waiting$/);
  launched.vm.release();
  await launched.event('process-ended');
});

test('a discarded preparation leaves no descriptor, and its folder is cleaned up', async (t) => {
  const { backend, paths } = await openDriver(t);
  const prepared = await backend.prepare(makeRequest(scriptService('web', 'true')));
  prepared.discard();
  closeAll(prepared.streams.map(({ fd }) => fd));
  assert.equal(openFilesBelow(paths.home), 0);
  await backend.cleanUp('web');
  assert.equal(existsSync(paths.vm('web').dir), false);
  await backend.cleanUp('web');
});

test('the daemon keeps no end of the streams of a process that runs', async (t) => {
  const { vm, event, paths, firstLine } = await launchProcess(t, scriptService('web', 'echo up; exec sleep 1000'));
  await firstLine('stdout');
  await event('job-started');
  assert.equal(openFilesBelow(paths.vm('web').dir), 3, 'the read ends and the exit record');
  vm.kill('SIGKILL');
  await event('process-ended');
  await eventually('all of it to be closed', () => openFilesBelow(paths.vm('web').dir) === 0);
});

test('a preparation that fails leaves no descriptor', async (t) => {
  const { backend, paths } = await openDriver(t);
  failFs(t, 'openSync', 'EMFILE', (path) => path === paths.vm('web').fifo('stderr'));
  await assert.rejects(backend.prepare(makeRequest(scriptService('web', 'true'))), { code: 'StartFailed' });
  assert.equal(openFilesBelow(paths.home), 0);
});

test('where the host gives no more watches a process is supervised all the same', async (t) => {
  failFs(t, 'watch', 'ENOSPC');
  const script = 'read -r line <"$GO"; exit "$line"';
  const go = join(await makeTempDir(t), 'go');
  makeFifos([go]);
  const service = scriptService('web', script, { isolation: 'none', envs: { GO: go } });
  const { vm, event } = await launchProcess(t, service);
  await event('job-started');
  writeFileSync(go, '9\n');
  assert.deepEqual((await event('job-exited')).exit, { code: 9, signal: null });
  vm.release();
  await event('process-ended');
});

/** A process whose daemon is dead. */
async function launchForgotten(t: TestContext) {
  const { backend, paths } = await openDriver(t);
  const script = 'echo $$ >"$HOME_DIR/command"; exec sleep 1000';
  const launched = startFixture(t, 'process-launcher.ts', [paths.home, script.replace('$HOME_DIR', paths.home)]);
  const identity = identify(Number(await launched.readLine()))!;
  t.after(() => signalProcess(identity, 'SIGKILL', 'group'));
  const noted = join(paths.home, 'command');
  const command = await eventually('the command', () => existsSync(noted) && (readFileSync(noted, 'utf8') || null));
  await launched.kill();
  return {
    backend,
    paths,
    identity,
    commandPid: Number(command),
    service: scriptService('web', script, { isolation: 'none' }),
  };
}
