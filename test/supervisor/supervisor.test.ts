import assert from 'node:assert/strict';
import test from 'node:test';
import { NO_METRICS, type ServiceStatus } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../src/protocol/supervision.ts';
import { START_TIMEOUT_MS } from '../../src/supervisor/starting.ts';
import { DRAIN_TIMEOUT_MS, HURRIED_DRAIN_TIMEOUT_MS, TERMINATE_TIMEOUT_MS } from '../../src/supervisor/stopping.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { HURRIED_LOGS_TIMEOUT_MS, LOGS_TIMEOUT_MS, STREAMS_TIMEOUT_MS } from '../../src/supervisor/vm-session.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';

const STOP_TIMEOUT_MS = 5000;
const CLEAN_EXIT = { code: 0, signal: null };
const KILLED = { code: 137, signal: 'SIGKILL' };

function supervise(context: FakeContext): Supervisor {
  const service = scriptService('web', 'true', { stop_timeout_ms: STOP_TIMEOUT_MS });
  return new Supervisor({ service, group: null, groupIp: null, kernel: null }, context);
}

/** A service whose command runs. `disk` is its state file, `received` the requests to its VM. */
async function startWeb(context = new FakeContext(), web = supervise(context)) {
  const started = web.start();
  await settle();
  const vm = context.vms.get('web')!;
  vm.start();
  await started;
  const pass = async (durationMs: number) => {
    await settle();
    context.clock.advance(durationMs);
    await settle();
  };
  const exit = async (code = 0) => {
    vm.emit({ type: 'job-exited', exit: { code, signal: null } });
    await settle();
  };
  return { context, web, vm, received: vm.received, disk: () => context.disk.get('web')!, pass, exit };
}

test('a disk that hangs does not keep a service from being asked to stop', async () => {
  const { context, web, vm, received, disk, pass, exit } = await startWeb();
  const saved = gate();
  context.onSave = () => saved.opened;
  const stopped = web.stop();
  await pass(249);
  assert.deepEqual(received, [], 'it waits a moment for the disk');
  await pass(1);
  assert.deepEqual(received, ['signal SIGTERM']);
  assert.equal(disk().status, 'Started');
  saved.open();
  await exit();
  vm.end();
  assert.equal((await stopped).status, 'Stopped');
});

test('events during the shutdown of the daemon are left to the next one: its own readers end streams, too', async () => {
  const { context, web, vm, received, disk } = await startWeb();
  vm.emit({ type: 'job-exited', exit: CLEAN_EXIT });
  context.closings.abort();
  await settle();
  const { status } = web.status();
  const before = [...received];
  assert.ok(!before.includes('release'), 'its output has not been read yet');
  vm.end();
  await settle();
  assert.deepEqual([received, web.status().status], [before, status]);
  assert.equal(typeof disk().status, 'string', 'the next daemon looks for its process');
});

test('nothing is launched before it is on disk', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const saved = gate();
  context.onSave = () => saved.opened;
  const started = web.start();
  await settle();
  assert.deepEqual([context.vms.size, context.samples.size], [0, 0]);
  saved.open();
  await settle();
  assert.equal(context.disk.get('web')!.status, 'Starting');
  context.vms.get('web')!.start();
  assert.equal((await started).status, 'Started');
  const { status, pid, process } = context.disk.get('web')!;
  assert.deepEqual([status, pid, process?.pid], ['Started', 100, 100]);
  assert.deepEqual([...context.samples.keys()], ['web'], 'its process is measured');
});

test('the process of a VM that boots is saved at once, for a daemon that starts meanwhile', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const refused = assert.rejects(web.start());
  await settle();
  const { status, process } = context.saved.at(-1)!;
  assert.deepEqual([status, process?.pid], ['Starting', 100]);
  const stopped = web.stop();
  await settle();
  context.vms.get('web')!.end();
  await stopped;
  await refused;
});

test('the VM of a command that has ended powers off, and the end of the run is saved', async () => {
  const { context, web, vm, received, disk, exit } = await startWeb();
  await exit(3);
  assert.deepEqual(received, ['drain', 'release']);
  assert.equal(context.samples.size, 0, 'nothing is measured any more');
  vm.end();
  const { status, exit_code, pid } = await web.ended();
  assert.deepEqual({ status, exit_code, pid }, { status: 'Stopped', exit_code: 3, pid: null });
  assert.deepEqual(disk().status, { Stopped: { exit_code: 3 } });
  assert.equal(context.clock.timers, 0);
});

test('the VM does not power off before all its output has arrived', async () => {
  const { context, received, exit } = await startWeb();
  const arrived = gate();
  context.onMarker = () => arrived.opened;
  await exit();
  assert.deepEqual(received, ['drain']);
  arrived.open();
  await settle();
  assert.deepEqual(received, ['drain', 'release']);
});

test('when the end of the output is not seen, the stop timer ends the VM', async () => {
  const { context, web, vm, received, pass, exit } = await startWeb();
  context.onMarker = () => Promise.reject(new Error('no log worker'));
  await exit();
  assert.match(context.reports.at(-1)!, /^warn: web: the end of its output was not seen: no log worker$/);
  await pass(DRAIN_TIMEOUT_MS);
  assert.deepEqual(received, ['drain', 'kill SIGTERM']);
  vm.end();
  assert.equal((await web.ended()).exit_code, 0);
});

test('streams that outlive the VM are closed after a while, and the service has ended', async () => {
  const { context, web, vm, pass, exit } = await startWeb();
  await exit();
  vm.endProcess();
  await pass(STREAMS_TIMEOUT_MS - 1);
  assert.deepEqual([vm.streamsOpen, web.status().status], [true, 'Stopping']);
  await pass(1);
  assert.deepEqual([vm.streamsOpen, (await web.ended()).status], [false, 'Stopped']);
  assert.equal(context.clock.timers, 0);
});

test('streams whose disk stays full are given up after a while, and sooner when a stop is repeated without time', async () => {
  for (const isRepeated of [false, true]) {
    const { context, web, vm, pass, exit } = await startWeb();
    context.isDiskFull = true;
    await exit();
    vm.endProcess();
    await pass(STREAMS_TIMEOUT_MS);
    const stopped = isRepeated ? web.stop(0) : web.ended();
    await settle();
    await pass((isRepeated ? HURRIED_LOGS_TIMEOUT_MS : LOGS_TIMEOUT_MS - STREAMS_TIMEOUT_MS) - 1);
    assert.deepEqual([vm.streamsOpen, web.status().status], [true, 'Stopping']);
    await pass(1);
    assert.deepEqual([vm.streamsOpen, (await stopped).status], [false, 'Stopped']);
    assert.equal(context.clock.timers, 0);
  }
});

test('a stop ends soon after the process where the disk takes no output, whenever it stalled', async () => {
  for (const stallsFirst of [false, true]) {
    const { context, web, vm, received, pass, exit } = await startWeb();
    context.isDiskFull = true;
    context.onMarker = () => gate().opened;
    if (stallsFirst) context.stallLogs('web', 'stdout: no space');
    const stopped = web.stop(1000);
    await settle();
    await exit();
    if (!stallsFirst) context.stallLogs('web', 'stdout: no space');
    await pass(HURRIED_DRAIN_TIMEOUT_MS);
    assert.deepEqual(received.slice(1), ['drain', 'kill SIGTERM']);
    vm.endProcess();
    await pass(HURRIED_LOGS_TIMEOUT_MS);
    assert.deepEqual([vm.streamsOpen, (await stopped).status], [false, 'Stopped']);
    assert.equal(context.clock.timers, 0);
  }
});

test('streams that end by themselves are not closed', async () => {
  const { context, web, vm, pass } = await startWeb();
  vm.end();
  await web.ended();
  await pass(STREAMS_TIMEOUT_MS);
  assert.ok(!context.callsOf('web').includes('closeStreams'));
});

test('streams that outlive a failed launch are closed after a while, and the start has failed', async () => {
  const context = new FakeContext();
  context.onLaunch = () => Promise.reject(new Error('no room'));
  context.onDiscard = () => {};
  const web = supervise(context);
  let isOver = false;
  const started = assert.rejects(web.start(), { message: /no room/ }).then(() => {
    isOver = true;
  });
  await settle();
  assert.equal(isOver, false);
  context.clock.advance(STREAMS_TIMEOUT_MS);
  await started;
  assert.deepEqual(context.disk.get('web')!.status, { Failed: { error: 'no room' } });
});

test('a command that ignores the stop is ended by SIGTERM to its VM, then by SIGKILL', async () => {
  const { web, vm, received, disk, pass } = await startWeb();
  const stopped = web.stop();
  await pass(STOP_TIMEOUT_MS - 1);
  assert.deepEqual(received, ['signal SIGTERM']);
  await pass(1);
  assert.deepEqual(received.slice(1), ['kill SIGTERM']);
  assert.equal(disk().ended_by, 'vm_sigterm', 'a later daemon may find it gone');
  await pass(TERMINATE_TIMEOUT_MS);
  await pass(TERMINATE_TIMEOUT_MS);
  assert.deepEqual(received.slice(2), ['kill SIGKILL', 'kill SIGKILL']);
  vm.end(KILLED);
  const { status, exit_code, signal } = await stopped;
  assert.deepEqual({ status, exit_code, signal }, { status: 'Stopped', exit_code: 137, signal: 'SIGKILL' });
});

test('a second stop without time does not wait for the first to run out', async () => {
  const { web, vm, received, pass } = await startWeb();
  const stops = [web.stop(), web.stop(0)];
  await settle();
  await pass(0);
  assert.deepEqual(received, ['signal SIGTERM', 'kill SIGTERM']);
  vm.end();
  await Promise.all(stops);
});

test('a stop while the VM is prepared cancels the launch', async () => {
  const context = new FakeContext();
  let prepareSignal: AbortSignal | undefined;
  const prepared = gate();
  context.onPrepare = (_service, signal) => {
    prepareSignal = signal;
    return prepared.opened;
  };
  const web = supervise(context);
  const refused = assert.rejects(web.start(), { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  await settle();
  assert.equal(prepareSignal!.aborted, true);
  prepared.open();
  const { status, exit_code } = await stopped;
  assert.deepEqual({ status, exit_code }, { status: 'Stopped', exit_code: null });
  await refused;
  assert.equal(context.vms.size, 0, 'no VM was launched');
  assert.ok(context.callsOf('web').includes('discard'), 'its streams are closed');
});

test('a VM that was launched although its start was cancelled is killed', async () => {
  const context = new FakeContext();
  const launched = gate();
  context.onLaunch = () => launched.opened;
  const web = supervise(context);
  const refused = assert.rejects(web.start(), { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  launched.open();
  await settle();
  const vm = context.vms.get('web')!;
  assert.deepEqual(vm.received, ['kill SIGKILL']);
  vm.end(KILLED);
  const { status, exit_code } = await stopped;
  assert.deepEqual({ status, exit_code }, { status: 'Stopped', exit_code: null }, 'no command ever ran');
  await refused;
});

test('a stop while the VM boots ends it', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const refused = assert.rejects(web.start(), { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  await settle();
  const vm = context.vms.get('web')!;
  assert.deepEqual(vm.received, ['kill SIGTERM']);
  vm.end();
  assert.equal((await stopped).status, 'Stopped');
  await refused;
});

test('a VM that is not ready in time is killed and booted once more, then the start fails with the reason', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const refused = assert.rejects(web.start(), { code: 'StartFailed', message: /not ready in 120 s/ });
  for (const restarts of [0, 1]) {
    await settle();
    assert.deepEqual([web.status().status, web.status().restarts], ['Starting', restarts]);
    context.clock.advance(START_TIMEOUT_MS);
    await settle();
    const vm = context.vms.get('web')!;
    assert.deepEqual(vm.received, ['kill SIGKILL']);
    vm.end(KILLED);
  }
  await refused;
  const { status, restarts, last_restart_reason } = web.status();
  assert.deepEqual([status, restarts, last_restart_reason], ['Failed', 1, 'the VM was not ready in 120 s']);
});

test('the start succeeds when the second boot does', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const started = web.start();
  await settle();
  context.clock.advance(START_TIMEOUT_MS);
  await settle();
  context.vms.get('web')!.end(KILLED);
  await settle();
  context.vms.get('web')!.start();
  const { status, restarts } = await started;
  assert.deepEqual([status, restarts], ['Started', 1]);
});

for (const step of ['onPrepare', 'onLaunch'] as const) {
  test(`a start whose ${step === 'onPrepare' ? 'preparation' : 'launch'} fails is rejected and can be tried again`, async () => {
    const context = new FakeContext();
    context[step] = () => Promise.reject(new Error('no room'));
    const web = supervise(context);
    await assert.rejects(web.start(), { code: 'StartFailed', message: 'no room' });
    const { status, error } = web.status();
    assert.deepEqual({ status, error }, { status: 'Failed', error: 'no room' });
    assert.deepEqual(context.disk.get('web')!.status, { Failed: { error: 'no room' } });

    context[step] = async () => {};
    const started = web.start();
    await settle();
    context.vms.get('web')!.start();
    assert.equal((await started).error, null);
  });
}

test('a command that cannot be run is a failed start with the reason of the guest', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const refused = assert.rejects(web.start(), { code: 'StartFailed', message: 'command not found: nginx' });
  await settle();
  const vm = context.vms.get('web')!;
  vm.emit({ type: 'job-failed', error: 'command not found: nginx' });
  vm.emit({ type: 'job-exited', exit: { code: 127, signal: null } });
  await settle();
  vm.end();
  await refused;
  assert.equal(web.status().exit_code, 127);
});

test('a start of a stopping service starts it again after the stop, once its end is saved', async () => {
  const { context, web, vm, disk, exit } = await startWeb();
  const stopped = web.stop();
  const startedAgain = web.start();
  await settle();
  await exit();
  let atPrepare: unknown;
  context.onPrepare = async () => {
    atPrepare = [disk().status, disk().stopped_at];
  };
  context.onCleanUp = async () =>
    assert.equal(context.vms.get('web'), vm, 'the folder of the last run is removed first');
  vm.end();
  await settle();
  await stopped;
  assert.deepEqual(atPrepare, ['Starting', null]);
  assert.ok(context.saved.some(({ status }) => typeof status === 'object' && 'Stopped' in status));
  const second = context.vms.get('web')!;
  assert.notEqual(second, vm);
  second.start();
  assert.equal((await startedAgain).pid, second.identity.pid);
});

test('streams that end late keep the service in Stopping', async () => {
  const { web, vm } = await startWeb();
  vm.endProcess(KILLED);
  await settle();
  assert.equal(web.status().status, 'Stopping');
  vm.endStreams();
  assert.equal((await web.ended()).status, 'Failed');
});

test('streams whose end is seen before that of the process are not waited for twice', async () => {
  const { web, vm } = await startWeb();
  vm.endStreams();
  await settle();
  assert.equal(web.status().status, 'Started', 'the process may still exist');
  vm.endProcess(KILLED);
  assert.equal((await web.ended()).status, 'Failed');
});

test('samples are saved and shown while the command runs, and not after it', async () => {
  const { context, web, exit } = await startWeb();
  const onSample = context.samples.get('web')!;
  const count = context.saved.length;
  onSample({ ...NO_METRICS, memory_usage: 4096 });
  assert.equal(web.status().metrics.memory_usage, 4096);
  onSample({ ...NO_METRICS, memory_usage: 4096 });
  assert.equal(context.saved.length, count + 1, 'an equal sample is not saved again');
  assert.equal(context.saved.at(-1)!.metrics.memory_usage, 4096);
  await exit();
  onSample({ ...NO_METRICS, memory_usage: 8192 });
  assert.deepEqual(web.status().metrics, NO_METRICS);
});

test('each change is emitted once, and nothing else is', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  const changes: ServiceStatus[] = [];
  web.on('change', (status) => changes.push(status));
  const started = web.start();
  await settle();
  const vm = context.vms.get('web')!;
  vm.start();
  vm.start();
  await started;
  const sample = { ...NO_METRICS, memory_usage: 4096 };
  context.samples.get('web')!(sample);
  context.samples.get('web')!(sample);
  vm.emit({ type: 'job-exited', exit: CLEAN_EXIT });
  await settle();
  vm.end();
  await web.ended();
  assert.deepEqual(
    changes.map(({ status, detail, metrics }) => [status, detail, metrics.memory_usage]),
    [
      ['Starting', 'preparing', null],
      ['Starting', 'booting', null],
      ['Started', null, null],
      ['Started', null, 4096],
      ['Stopping', 'reading the last output', null],
      ['Stopping', 'powering off', null],
      ['Stopped', null, null],
    ],
  );
});

test('an effect that fails is reported, and the rest is done all the same', async () => {
  const { context, web, vm, received } = await startWeb();
  context.onSave = () => Promise.reject(new Error('ENOSPC: no space left on device'));
  const stopped = web.stop();
  await settle();
  assert.match(context.reports.at(-2)!, /^error: web: persist failed: ENOSPC/);
  assert.deepEqual(received, ['signal SIGTERM']);
  vm.end();
  await stopped;
});

test('nothing is launched when its state cannot be saved', async () => {
  const context = new FakeContext();
  const web = supervise(context);
  context.onSave = () => Promise.reject(new Error('ENOSPC: no space left on device'));
  await assert.rejects(web.start(), {
    code: 'StartFailed',
    message: 'its state cannot be saved: ENOSPC: no space left on device',
  });
  assert.equal(context.vms.size, 0);
});

test('a clock that is set back or forward changes neither the start period nor the length of a run', async () => {
  for (const stepMs of [-3_600_000, 3_600_000]) {
    const context = new FakeContext();
    const failing = { ok: false, detail: 'refused' };
    context.probeResults.push(failing, failing, failing, failing, failing, failing);
    const service = scriptService('web', 'true', {
      healthcheck: healthCheck({ interval_ms: 1000, start_period_ms: 4000 }),
      restart: { ...DEFAULT_RESTART_SETTINGS, when: 'always', max_restarts: 0, reset_ms: 10_000 },
    });
    const web = new Supervisor({ service, group: null, groupIp: null, kernel: null }, context);
    const { vm, pass } = await startWeb(context, web);
    context.clock.step(stepMs);
    for (let second = 1; second < 4; second += 1) await pass(1000);
    assert.equal(web.status().health, 'starting');
    await pass(1000);
    assert.equal(web.status().health, 'unhealthy');
    vm.emit({ type: 'job-exited', exit: CLEAN_EXIT });
    vm.end();
    await web.ended();
    assert.equal(web.status().reason, 'gave-up', 'it ran for less than 10 s');
  }
});
