/**
 * Services on fake machines: all of monocore but QEMU, a kernel and its init. What a VM back end shares with the others
 * is tested here in seconds.
 */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Service, ServiceStatus } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS, type HealthCheck } from '../../src/protocol/supervision.ts';
import { isClean, renderReport } from '../chaos/report.ts';
import { runChaos } from '../chaos/run.ts';
import { findShared } from '../helpers/disks/modes.ts';
import { eventually } from '../helpers/eventually.ts';
import { FAKE_BACKENDS } from '../helpers/fakes/fake-machine/backend.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { findProcesses } from '../helpers/processes/command-lines.ts';
import { startFixture } from '../helpers/processes/fixture.ts';
import { makeRuntimeHome, openTestRuntime, type TestRuntime } from '../helpers/runtime.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

async function openFakes(t: TestContext, home?: string): Promise<TestRuntime> {
  const host = await openTestRuntime(home, { backends: FAKE_BACKENDS });
  defer(t, () => host.close());
  return host;
}

/** The row of the only service. */
function rowOf(host: TestRuntime): ServiceStatus {
  return host.orchestrator.services()[0]!;
}

/** Starts a service; returns its row when its command runs, or has failed to. */
async function start(host: TestRuntime, service: Service): Promise<ServiceStatus> {
  const { services } = await host.orchestrator.start(configOf([service]));
  return services[0]!.service;
}

test('a service has its streams, its variables and its exit code', async (t) => {
  const host = await openFakes(t);
  const script = 'echo "$WORD"; echo failing >&2; pwd; until [ -e "$GATE" ]; do sleep 0.01; done; exit 7';
  const envs = { WORD: "it's", GATE: join(host.home, 'gate') };
  const row = await start(host, scriptService('web', script, { envs, workdir: '/tmp' }));
  assert.equal(row.status, 'Started');
  assert.deepEqual(findShared(host.home), ['log']);
  writeFileSync(envs.GATE, '');
  const ended = await host.ended('web');
  assert.deepEqual([ended.status, ended.exit_code, ended.reason, ended.ended_by], ['Stopped', 7, 'exited', 'command']);
  assert.deepEqual(host.lines('web', 'stdout'), ["it's", '/tmp']);
  assert.deepEqual(host.lines('web', 'stderr'), ['failing']);
  assert.deepEqual(host.lines('web', 'console'), ['the fake machine has booted']);
});

test('a stop signals the command, waits for it, and ends the machine', async (t) => {
  const host = await openFakes(t);
  const script = 'trap "echo asked; exit 3" TERM; echo begun; while :; do sleep 0.01; done';
  await start(host, scriptService('web', script));
  await eventually('its first line', () => host.lines('web', 'stdout').length > 0);
  await host.orchestrator.stop();
  const { status, exit_code, reason, ended_by } = rowOf(host);
  assert.deepEqual([status, exit_code, reason, ended_by], ['Stopped', 3, 'stopped', 'stop_signal']);
  assert.deepEqual(host.lines('web', 'stdout'), ['begun', 'asked']);
  assert.deepEqual(findProcesses(join(host.home, 'run/')), []);
  assert.deepEqual(readdirSync(join(host.home, 'run')), []);
});

test('a command that does not listen is killed with its machine', async (t) => {
  const host = await openFakes(t);
  await start(host, scriptService('web', 'trap "" TERM; echo begun; sleep 1000', { stop_timeout_ms: 100 }));
  await host.orchestrator.stop();
  assert.deepEqual([rowOf(host).status, rowOf(host).ended_by], ['Stopped', 'vm_sigterm']);
});

test('a command that cannot be run is a failed start with its reason', async (t) => {
  const host = await openFakes(t);
  const missing = scriptService('web', '', { command: 'no-such-command', args: [] });
  const { status, error } = await start(host, missing);
  assert.equal(status, 'Failed');
  assert.match(error!, /command not found: no-such-command/);
});

test('no byte is lost when a command ends behind a full pipe, and no marker is left', async (t) => {
  const host = await openFakes(t);
  const lines = 50_000;
  await start(host, scriptService('web', `seq -f 'line %09g' 1 ${lines}; printf last`));
  assert.equal((await host.ended('web')).exit_code, 0);
  const log = await host.runtime.logs.lastLines('web', ['stdout'], 3, '2000-01-01T00:00:00.000Z');
  const texts = log.map((line) => line.replace(/^\S+ \w+ \[[^\]]*\] /, ''));
  assert.deepEqual(texts, ['line 000049999', 'line 000050000', 'last']);
});

test('health checks ask the machine: a command, and a port', async (t) => {
  const host = await openFakes(t);
  const times = { interval_ms: 50, timeout_ms: 5000, retries: 1, start_period_ms: 0 };
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await eventually('the port', () => server.listening);
  const { port } = server.address() as { port: number };
  const checks: [string, HealthCheck['probe']][] = [
    ['healthy', { type: 'exec', command: ['/bin/sh', '-c', 'exit 0'] }],
    ['unhealthy', { type: 'exec', command: ['/bin/sh', '-c', 'exit 3'] }],
    ['healthy', { type: 'tcp', port }],
    ['unhealthy', { type: 'tcp', port: 1 }],
  ];
  const services = checks.map(([, probe], index) =>
    scriptService(`s${index}`, 'sleep 1000', { healthcheck: { probe, ...times } }),
  );
  await host.orchestrator.start(configOf(services));
  const healths = () => host.orchestrator.services().map(({ health }) => health);
  await eventually('all verdicts', () => healths().every((health) => health !== 'starting'));
  assert.deepEqual(
    healths(),
    checks.map(([health]) => health),
  );
});

test('a machine that is killed has crashed, and is started again by its policy', async (t) => {
  const host = await openFakes(t);
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'on-failure' as const };
  const { pid } = await start(host, scriptService('web', 'echo begun; sleep 1000', { restart }));
  await eventually('its first line', () => host.lines('web', 'stdout').length === 1);
  process.kill(pid!, 'SIGKILL');
  await eventually('the next run', () => rowOf(host).restarts === 1 && rowOf(host).status === 'Started');
  assert.notEqual(rowOf(host).pid, pid);
  assert.match(rowOf(host).last_restart_reason!, /VM process/);
  await eventually('its line', () => host.lines('web', 'stdout').length === 2);
});

test('a daemon that dies leaves its machines, and the next one adopts them with their streams', async (t) => {
  const home = makeRuntimeHome();
  const count = 'i=0; while :; do i=$((i + 1)); echo "$i"; sleep 0.01; done';
  const short = 'echo short; sleep 0.5; exit 9';
  const config = configOf([scriptService('count', count), scriptService('short', short)]);
  const daemon = startFixture(t, 'fake-daemon.ts', [home, JSON.stringify(config)]);
  const before = JSON.parse(await daemon.readLine()) as ServiceStatus[];
  await daemon.kill();
  const atDeath = before.map(({ pid }) => pid);
  const host = await openFakes(t, home);
  const rows = () => host.orchestrator.services();
  assert.equal(rows()[0]!.pid, atDeath[0]);
  const seen = () => host.lines('count', 'stdout').map(Number);
  const first = seen().length;
  await eventually('more lines', () => seen().length > first + 20);
  // The chunk that the daemon had read and not written may be gone; what came later is all there, in order.
  const later = seen().slice(-20);
  assert.deepEqual(
    later,
    later.map((_, index) => later[0]! + index),
  );
  const ended = await host.ended('short');
  assert.deepEqual([ended.exit_code, ended.reason], [9, 'exited']);
  await host.orchestrator.stop();
  assert.deepEqual(findProcesses(join(home, 'run/')), []);
});

test('thirty machines start, and stop, at once', async (t) => {
  const host = await openFakes(t);
  const script = 'trap "exit 0" TERM; echo begun; while :; do sleep 0.05; done';
  const services = Array.from({ length: 30 }, (_, index) => scriptService(`s${index}`, script));
  const { services: started } = await host.orchestrator.start(configOf(services));
  assert.deepEqual(
    started.filter(({ error }) => error !== null),
    [],
  );
  assert.equal(new Set(started.map(({ service }) => service.pid)).size, 30);
  await host.orchestrator.stop();
  assert.deepEqual([...new Set(host.orchestrator.services().map(({ exit_code }) => exit_code))], [0]);
  assert.deepEqual(findProcesses(join(host.home, 'run/')), []);
});

test('a short time of chaos loses no line, no exit code, no process and no file', { timeout: 240_000 }, async (t) => {
  const dir = await makeTempDir(t);
  const report = await runChaos({ minutes: 0.15, services: 6, vms: 4, fake: true, seed: 20261123, dir, without: [] });
  assert.ok(isClean(report), renderReport(report));
});
