/** The daemon dies, the VMs live: the next command finds them as they are. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Isolation } from '../../../src/protocol/isolation.ts';
import { readExitRecord } from '../../../src/vm/host/exit-record.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { type Home, makeTestHome } from '../../helpers/home.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';
import { defer } from '../../helpers/temp.ts';

const COUNTER = 'i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.02; done';

function writeConfig(
  home: Home,
  services: Record<string, { script: string; isolation: string; after?: string[] }>,
): string {
  const file = join(home.dir, 'monocore.toml');
  const tables = Object.entries(services).map(
    ([name, { script, isolation, after = [] }]) =>
      `[[service]]\nname = "${name}"\nisolation = "${isolation}"\ndepends_on = ${JSON.stringify(after)}\ncommand = "/bin/sh"\nargs = ["-c", '''${script}''']\n`,
  );
  writeFileSync(file, tables.join('\n'));
  return file;
}

function assertNoneLost(lines: readonly string[], allowedGaps: number): void {
  const numbers = lines.map((line) => Number(/^line (\d+)$/.exec(line)?.[1]));
  assert.ok(numbers.every(Number.isInteger), 'no line is torn');
  const steps = numbers.slice(1).map((number, index) => number - numbers[index]!);
  assert.ok(
    steps.every((step) => step >= 1),
    'no line is doubled',
  );
  assert.ok(steps.filter((step) => step > 1).length <= allowedGaps, 'only a chunk in flight is missing');
}

describe('after the daemon was killed', () => {
  it('a question starts none; the next one supervises a VM and a plain process again, with all that they printed meanwhile', async (t) => {
    const home = await makeTestHome(t);
    const services = { guest: { script: COUNTER, isolation: 'vm' }, plain: { script: COUNTER, isolation: 'none' } };
    await home.ok('start', '-f', writeConfig(home, services));
    const before = { guest: await home.status('guest'), plain: await home.status('plain') };
    await eventually('some lines', () => home.lines('guest', 'stdout').length > 20);
    await home.killDaemon();

    const { stdout, stderr } = await home.run(['status']);
    assert.match(stdout, /^plain .* running/m);
    assert.match(stderr, /^monocore: note: no daemon is running; to start one: monocore daemon restart$/m);
    await home.ok('logs', 'plain');
    assert.equal((await home.run(['daemon', 'status'])).code, 3);
    await home.startDaemon();
    for (const name of ['guest', 'plain'] as const) {
      const status = await home.status(name);
      assert.equal(status.status, 'Started');
      assert.equal(status.pid, before[name].pid);
      assert.equal(status.started_at, before[name].started_at);
    }
    const seen = home.lines('guest', 'stdout').length;
    await eventually('more lines', () => home.lines('guest', 'stdout').length > seen + 20);
    await eventually(
      'metrics to be counted again',
      async () => (await home.status('guest')).metrics.memory_usage !== null,
    );
    for (const name of ['guest', 'plain'] as const) assertNoneLost(home.lines(name, 'stdout'), 1);

    await home.ok('stop', '--all');
    for (const name of ['guest', 'plain'] as const) {
      const status = await home.status(name);
      assert.deepEqual([status.status, status.exit_code, status.signal], ['Stopped', 143, 'SIGTERM']);
    }
  });

  it('exits that nobody saw are known with their codes and their last lines', async (t) => {
    const home = await makeTestHome(t);
    const script = (code: number): string =>
      `trap 'echo the last line; exit ${code}' USR1; while :; do sleep 0.1; done`;
    const services = {
      // The last to start, so that it has not ended when the daemon is killed.
      guest: { script: `sleep 5; printf 'the last line'; exit 5`, isolation: 'vm', after: ['plain', 'killed'] },
      plain: { script: script(7), isolation: 'none' },
      killed: { script: script(0), isolation: 'vm' },
    };
    await home.ok('start', '-f', writeConfig(home, services));
    const plain = await home.status('plain');
    const killed = await home.status('killed');
    await home.killDaemon();
    process.kill(plain.pid!, 'SIGUSR1');
    process.kill(killed.pid!, 'SIGKILL');
    for (const name of ['guest', 'plain']) {
      await eventually(
        `the exit record of ${name}`,
        () => readExitRecord(join(home.dir, 'run', name, 'exit')).exit !== null,
      );
    }

    await home.startDaemon();
    assert.equal((await home.reached('guest', 'Stopped')).exit_code, 5);
    assert.equal(home.lines('guest', 'stdout').at(-1), 'the last line');
    assert.equal((await home.reached('plain', 'Stopped')).exit_code, 7);
    assert.equal(home.lines('plain', 'stdout').at(-1), 'the last line');
    const lost = await home.reached('killed', 'Failed');
    assert.equal(lost.exit_code, null);
    assert.equal(lost.error, 'its process ended while no daemon ran');
  });

  it('a process that has its pid by now is not touched', async (t) => {
    const home = await makeTestHome(t);
    await home.ok('start', '-f', writeConfig(home, { plain: { script: 'sleep 1000', isolation: 'none' } }));
    await home.killDaemon();
    const file = join(home.dir, 'run/plain.json');
    const document = JSON.parse(readFileSync(file, 'utf8'));
    const shim = document.process.pid as number;
    process.kill(-shim, 'SIGKILL');
    // This very test stands for the stranger that got the pid: same pid as in the state file, another start time.
    document.process.pid = process.pid;
    writeFileSync(file, JSON.stringify(document));
    await home.startDaemon();
    assert.equal((await home.reached('plain', 'Failed')).error, 'its process ended while no daemon ran');
  });
});

it('a daemon that is told to leave its services running does so', async (t) => {
  const home = await makeTestHome(t);
  await home.ok('start', '-f', writeConfig(home, { plain: { script: COUNTER, isolation: 'none' } }));
  const { pid } = await home.status('plain');
  assert.match(await home.ok('daemon', 'stop', '--leave-running'), /its services were left as they are/);
  process.kill(pid!, 0);
  await home.startDaemon();
  assert.equal((await home.status('plain')).pid, pid);
  assertNoneLost(home.lines('plain', 'stdout'), 0);
});

it('a daemon in the foreground takes over from one in the background, and its services run on', async (t) => {
  const home = await makeTestHome(t);
  await home.ok('start', '-f', writeConfig(home, { plain: { script: COUNTER, isolation: 'none' } }));
  const before = await home.status('plain');
  const ended = home.run(['daemon', 'run']);
  await eventually('the take-over', async () => {
    const { code, stdout } = await home.run(['daemon', 'status', '--json']);
    return code === 0 && JSON.parse(stdout).settings.background === false;
  });
  assert.equal((await home.status('plain')).pid, before.pid);
  const daemon = JSON.parse(await home.ok('daemon', 'status', '--json'));
  for (const isDeleted of [false, true]) {
    if (isDeleted) rmSync(join(home.dir, 'lock'));
    const second = await home.run(['daemon', 'run']);
    assert.equal(second.code, 3);
    const [, holder, refused] = /process (\d+) has its lock; process (\d+) exits/.exec(second.stderr) ?? [];
    assert.equal(Number(holder), daemon.pid, second.stderr);
    assert.notEqual(refused, holder);
  }
  await home.ok('daemon', 'stop');
  const { code, stderr } = await ended;
  assert.equal(code, 0);
  assert.match(stderr, /replacing the daemon in the background \(process \d+\); its services keep running/);
});

it('a program that closes the library leaves its VMs to the next one, in the same process, too', async (t) => {
  const first = await openTestRuntime();
  defer(t, () => rmSync(first.home, { recursive: true, force: true }));
  const services = ['vm', 'none'].map((isolation) =>
    scriptService(isolation, `trap 'exit 3' TERM; while :; do sleep 0.1; done`, { isolation: isolation as Isolation }),
  );
  await first.orchestrator.start(configOf(services));
  await first.runtime.close();

  const next = await openTestRuntime(first.home);
  let isClosed = false;
  defer(t, async () => isClosed || next.close());
  await next.orchestrator.stop();
  for (const name of ['vm', 'none']) {
    const { exit_code, ended_by } = await next.ended(name);
    assert.deepEqual([exit_code, ended_by], [3, 'stop_signal'], 'it hears what the guest says');
  }
  await next.close();
  isClosed = true;
});
