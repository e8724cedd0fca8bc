import assert from 'node:assert/strict';
import test from 'node:test';
import { NO_METRICS, type ServiceStatus } from '../../src/protocol/service.ts';
import { START_TIMEOUT_MS } from '../../src/supervisor/starting.ts';
import { DRAIN_TIMEOUT_MS, TERMINATE_TIMEOUT_MS } from '../../src/supervisor/stopping.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { STREAMS_TIMEOUT_MS } from '../../src/supervisor/vm-session.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { scriptService } from '../helpers/fakes/services.ts';

const STOP_TIMEOUT_MS = 5000;

function supervise(ports: FakeContext): Supervisor {
  const service = scriptService('web', 'true', { stop_timeout_ms: STOP_TIMEOUT_MS });
  return new Supervisor({ service, group: null, groupIp: null, kernel: null }, ports);
}

/** A service whose command runs. */
async function startWeb(ports = new FakeContext()) {
  const web = supervise(ports);
  const started = web.start();
  await settle();
  const vm = ports.vms.get('web')!;
  vm.start();
  await started;
  ports.clear();
  return { ports, web, vm, calls: () => ports.callsOf('web') };
}

test('a disk that hangs does not keep a service from being asked to stop', async () => {
  const { ports, web, vm, calls } = await startWeb();
  const saved = gate();
  ports.onSave = () => saved.opened;
  const stopped = web.stop();
  await settle();
  assert.deepEqual(calls(), ['save Stopping'], 'for a moment it is waited for');
  ports.clock.advance(250);
  await settle();
  assert.deepEqual(calls().at(-1), 'signal SIGTERM');
  saved.open();
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  vm.end();
  assert.equal((await stopped).status, 'Stopped');
});

test('what comes while the daemon ends is left to the next one: the end of a stream may be that of its reader', async () => {
  const { ports, vm, calls } = await startWeb();
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  ports.closings.abort();
  await settle();
  const before = calls();
  assert.ok(!before.includes('release'), 'what it printed has not been read yet');
  vm.end();
  await settle();
  assert.deepEqual(calls(), before);
});

test('what is about to be done is on disk before it is done', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  const saved = gate();
  ports.onSave = () => saved.opened;
  const started = web.start();
  await settle();
  assert.deepEqual(ports.callsOf('web'), ['save Starting'], 'nothing is launched before the file is written');
  saved.open();
  await settle();
  ports.vms.get('web')!.start();
  assert.equal((await started).status, 'Started');
  assert.deepEqual(ports.callsOf('web'), [
    'save Starting',
    'prepare',
    'capture',
    'launch',
    'saveSoon Starting',
    'save Started',
    'watch 100',
  ]);
  assert.deepEqual(
    ports.documents.map(({ pid, process }) => [pid, process?.pid ?? null]),
    [
      [null, null],
      [100, 100],
      [100, 100],
    ],
  );
});

test('a command that ends is drained, then the VM is released, then the row is kept', async () => {
  const { ports, web, vm, calls } = await startWeb();
  vm.emit({ type: 'job-exited', exit: { code: 3, signal: null } });
  await settle();
  assert.deepEqual(calls(), ['save Stopping', 'unwatch', 'drain', 'release']);
  ports.clear();
  vm.end();
  const { status, exit_code, pid } = await web.ended();
  assert.deepEqual({ status, exit_code, pid }, { status: 'Stopped', exit_code: 3, pid: null });
  assert.deepEqual(calls(), ['cleanUp', 'conclude Stopped']);
  assert.equal(ports.clock.timers, 0);
});

test('the VM is not released before everything that it printed has arrived', async () => {
  const { ports, vm, calls } = await startWeb();
  const arrived = gate();
  ports.onMarker = () => arrived.opened;
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  assert.equal(calls().at(-1), 'drain');
  arrived.open();
  await settle();
  assert.equal(calls().at(-1), 'release');
});

test('when the end of the output is not seen, the stop timer ends the VM', async () => {
  const { ports, web, vm, calls } = await startWeb();
  ports.onMarker = () => Promise.reject(new Error('no log worker'));
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  assert.match(ports.reports.at(-1)!, /^warn: web: the end of its output was not seen: no log worker$/);
  ports.clear();
  ports.clock.advance(DRAIN_TIMEOUT_MS);
  await settle();
  assert.deepEqual(calls(), ['save Stopping', 'kill SIGTERM']);
  vm.end();
  assert.equal((await web.ended()).exit_code, 0);
});

test('streams that outlive the VM are closed after a while, and the service has ended', async () => {
  const { ports, web, vm, calls } = await startWeb();
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  vm.endProcess();
  await settle();
  ports.clear();
  ports.clock.advance(STREAMS_TIMEOUT_MS - 1);
  await settle();
  assert.deepEqual(calls(), []);
  ports.clock.advance(1);
  assert.equal((await web.ended()).status, 'Stopped');
  assert.deepEqual(calls(), ['closeStreams', 'cleanUp', 'conclude Stopped']);
  assert.equal(ports.clock.timers, 0);
});

test('streams that end by themselves are not closed', async () => {
  const { ports, web, vm, calls } = await startWeb();
  vm.end();
  await web.ended();
  ports.clock.advance(STREAMS_TIMEOUT_MS);
  assert.ok(!calls().includes('closeStreams'));
});

test('streams that outlive a launch that failed are closed after a while, and the start has failed', async () => {
  const ports = new FakeContext();
  ports.onLaunch = () => Promise.reject(new Error('no room'));
  ports.onDiscard = () => {};
  const web = supervise(ports);
  const started = assert.rejects(web.start(), { message: /no room/ });
  await settle();
  ports.clock.advance(STREAMS_TIMEOUT_MS);
  await started;
  assert.deepEqual(ports.callsOf('web').slice(-3), ['closeStreams', 'cleanUp', 'conclude Failed']);
});

test('a command that ignores the stop is ended by SIGTERM to its VM, then by SIGKILL', async () => {
  const { ports, web, vm, calls } = await startWeb();
  const stopped = web.stop();
  await settle();
  assert.deepEqual(calls(), ['save Stopping', 'signal SIGTERM']);
  ports.clear();
  ports.clock.advance(STOP_TIMEOUT_MS - 1);
  await settle();
  assert.deepEqual(calls(), []);
  ports.clock.advance(1);
  await settle();
  assert.deepEqual(calls(), ['save Stopping', 'kill SIGTERM']);
  assert.equal(ports.documents.at(-1)!.ended_by, 'vm_sigterm', 'the next daemon may find it gone');
  ports.clock.advance(TERMINATE_TIMEOUT_MS);
  await settle();
  ports.clock.advance(TERMINATE_TIMEOUT_MS);
  await settle();
  assert.deepEqual(
    calls().filter((call) => call !== 'save Stopping'),
    ['kill SIGTERM', 'kill SIGKILL', 'kill SIGKILL'],
  );
  vm.end({ code: 137, signal: 'SIGKILL' });
  const { status, exit_code, signal } = await stopped;
  assert.deepEqual({ status, exit_code, signal }, { status: 'Stopped', exit_code: 137, signal: 'SIGKILL' });
});

test('a second stop without time does not wait for the first to run out', async () => {
  const { ports, web, vm, calls } = await startWeb();
  const stops = [web.stop(), web.stop(0)];
  await settle();
  ports.clear();
  ports.clock.advance(0);
  await settle();
  assert.deepEqual(calls(), ['save Stopping', 'kill SIGTERM']);
  vm.end();
  await Promise.all(stops);
});

test('a stop while the VM is prepared calls the launch off', async () => {
  const ports = new FakeContext();
  let prepareSignal: AbortSignal | undefined;
  const prepared = gate();
  ports.onPrepare = (_service, signal) => {
    prepareSignal = signal;
    return prepared.opened;
  };
  const web = supervise(ports);
  const started = web.start();
  const refused = assert.rejects(started, { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  await settle();
  assert.equal(prepareSignal!.aborted, true);
  prepared.open();
  const { status, exit_code } = await stopped;
  assert.deepEqual({ status, exit_code }, { status: 'Stopped', exit_code: null });
  await refused;
  assert.deepEqual(ports.callsOf('web').slice(-3), ['discard', 'cleanUp', 'conclude Stopped']);
  assert.ok(!ports.callsOf('web').includes('launch'));
});

test('a VM that came up though its launch was called off is killed', async () => {
  const ports = new FakeContext();
  const launched = gate();
  ports.onLaunch = () => launched.opened;
  const web = supervise(ports);
  const refused = assert.rejects(web.start(), { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  launched.open();
  await settle();
  assert.equal(ports.callsOf('web').at(-1), 'kill SIGKILL');
  ports.vms.get('web')!.end({ code: 137, signal: 'SIGKILL' });
  const { status, exit_code } = await stopped;
  assert.deepEqual({ status, exit_code }, { status: 'Stopped', exit_code: null }, 'no command ever ran');
  await refused;
});

test('a stop while the VM boots ends it', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  const refused = assert.rejects(web.start(), { code: 'Aborted' });
  await settle();
  const stopped = web.stop();
  await settle();
  assert.equal(ports.callsOf('web').at(-1), 'kill SIGTERM');
  ports.vms.get('web')!.end();
  assert.equal((await stopped).status, 'Stopped');
  await refused;
});

test('a VM that does not get ready in time is killed, and the start says so', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  const refused = assert.rejects(web.start(), { code: 'StartFailed', message: /not ready in 120 s/ });
  await settle();
  ports.clock.advance(START_TIMEOUT_MS);
  await settle();
  assert.equal(ports.callsOf('web').at(-1), 'kill SIGKILL');
  ports.vms.get('web')!.end({ code: 137, signal: 'SIGKILL' });
  await refused;
  assert.equal(web.status().status, 'Failed');
});

for (const step of ['onPrepare', 'onLaunch'] as const) {
  test(`a start whose ${step === 'onPrepare' ? 'preparation' : 'launch'} fails is rejected and can be tried again`, async () => {
    const ports = new FakeContext();
    ports[step] = () => Promise.reject(new Error('no room'));
    const web = supervise(ports);
    await assert.rejects(web.start(), { code: 'StartFailed', message: 'no room' });
    const { status, error } = web.status();
    assert.deepEqual({ status, error }, { status: 'Failed', error: 'no room' });
    assert.deepEqual(ports.callsOf('web').slice(-2), ['cleanUp', 'conclude Failed']);
    assert.deepEqual(ports.documents.at(-1)!.status, { Failed: { error: 'no room' } });

    ports[step] = async () => {};
    const started = web.start();
    await settle();
    ports.vms.get('web')!.start();
    assert.equal((await started).error, null);
  });
}

test('a command that cannot be run is a failed start with the reason of the guest', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  const refused = assert.rejects(web.start(), { code: 'StartFailed', message: 'command not found: nginx' });
  await settle();
  const vm = ports.vms.get('web')!;
  vm.emit({ type: 'job-failed', error: 'command not found: nginx' });
  vm.emit({ type: 'job-exited', exit: { code: 127, signal: null } });
  await settle();
  vm.end();
  await refused;
  assert.equal(web.status().exit_code, 127);
});

test('a start of a service that stops starts it again when it has stopped', async () => {
  const { ports, web, vm } = await startWeb();
  const stopped = web.stop();
  const startedAgain = web.start();
  await settle();
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  ports.clear();
  vm.end();
  await settle();
  assert.deepEqual(ports.callsOf('web').slice(0, 5), [
    'unwatch',
    'cleanUp',
    'conclude Stopped',
    'save Starting',
    'prepare',
  ]);
  await stopped;
  const second = ports.vms.get('web')!;
  assert.notEqual(second, vm);
  second.start();
  assert.equal((await startedAgain).pid, second.identity.pid);
});

test('streams that end late keep the service in Stopping', async () => {
  const { web, vm } = await startWeb();
  vm.endProcess({ code: 137, signal: 'SIGKILL' });
  await settle();
  assert.equal(web.status().status, 'Stopping');
  vm.endStreams();
  assert.equal((await web.ended()).status, 'Failed');
});

test('streams whose end is seen before that of the process are not waited for twice', async () => {
  const { web, vm } = await startWeb();
  vm.endStreams();
  await settle();
  assert.equal(web.status().status, 'Started', 'the process may be there still');
  vm.endProcess({ code: 137, signal: 'SIGKILL' });
  assert.equal((await web.ended()).status, 'Failed');
});

test('samples are kept and shown while the command runs, and not after it', async () => {
  const { ports, web, vm, calls } = await startWeb();
  const onSample = ports.samples.get('web')!;
  onSample({ ...NO_METRICS, memory_usage: 4096 });
  assert.equal(web.status().metrics.memory_usage, 4096);
  onSample({ ...NO_METRICS, memory_usage: 4096 });
  assert.deepEqual(calls(), ['saveSoon Started'], 'what is the same is not written again');
  assert.equal(ports.documents.at(-1)!.metrics.memory_usage, 4096);
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  await settle();
  onSample({ ...NO_METRICS, memory_usage: 8192 });
  assert.deepEqual(web.status().metrics, NO_METRICS);
});

test('each change is told once, and nothing that is none', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  const changes: ServiceStatus[] = [];
  web.on('change', (status) => changes.push(status));
  const started = web.start();
  await settle();
  const vm = ports.vms.get('web')!;
  vm.start();
  vm.start();
  await started;
  const sample = { ...NO_METRICS, memory_usage: 4096 };
  ports.samples.get('web')!(sample);
  ports.samples.get('web')!(sample);
  vm.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
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

test('an effect that fails is reported and does not keep the rest from being done', async () => {
  const { ports, web, vm, calls } = await startWeb();
  ports.onSave = () => Promise.reject(new Error('ENOSPC: no space left on device'));
  const stopped = web.stop();
  await settle();
  assert.match(ports.reports.at(-2)!, /^error: web: persist failed: ENOSPC/);
  assert.equal(calls().at(-1), 'signal SIGTERM');
  vm.end();
  await stopped;
});

test('nothing is launched when its state cannot be saved', async () => {
  const ports = new FakeContext();
  const web = supervise(ports);
  ports.onSave = () => Promise.reject(new Error('ENOSPC: no space left on device'));
  await assert.rejects(web.start(), {
    code: 'StartFailed',
    message: 'its state cannot be saved: ENOSPC: no space left on device',
  });
  assert.equal(ports.callsOf('web').includes('prepare'), false);
});
