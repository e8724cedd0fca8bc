/** Restarts, health and memory of a supervised service over time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MonocoreError } from '../../src/lib/errors.ts';
import { NO_METRICS, type Service } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS, type HealthCheck } from '../../src/protocol/supervision.ts';
import { RELEASE_TIMEOUT_MS } from '../../src/supervisor/stopping.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { FakeContext, settle } from '../helpers/fakes/fake-context.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';

const CHECK = healthCheck({ retries: 2 });
const OK = { ok: true, detail: 'connected' };
const BAD = { ok: false, detail: 'connection refused' };
const ALWAYS = { restart: { ...DEFAULT_RESTART_SETTINGS, when: 'always' } } as const;

/** A service whose command runs; `prepare` is called on its context first. */
async function startWeb(overrides: Partial<Service>, prepare: (context: FakeContext) => void = () => {}) {
  const context = new FakeContext();
  prepare(context);
  const service = scriptService('web', 'true', overrides);
  const web = new Supervisor({ service, group: null, groupIp: null, kernel: null }, context);
  const vm = () => context.vms.get('web')!;
  const begin = async () => {
    await settle();
    vm().start();
    await settle();
  };
  const exit = async (code: number) => {
    vm().emit({ type: 'job-exited', exit: { code, signal: null } });
    await settle();
    vm().end();
    await settle();
  };
  const pass = async (durationMs: number) => {
    context.clock.advance(durationMs);
    await settle();
  };
  const first = web.start();
  await begin();
  await first;
  return { context, web, vm, begin, exit, pass };
}

test('a service that ended by itself is restarted after its back-off, and shows the last run meanwhile', async () => {
  const { context, web, begin, exit, pass } = await startWeb(ALWAYS);
  await exit(3);
  const waiting = web.status();
  assert.deepEqual(
    [waiting.status, waiting.detail, waiting.exit_code, waiting.reason, waiting.ended_by, waiting.restarts],
    ['Starting', 'waiting to be restarted', 3, 'exited', 'command', 1],
  );
  assert.equal(waiting.restarts_at, '2026-11-23T08:00:01.123Z');
  assert.match(context.reports.at(-1)!, /^warn: web: restart 1 in 1\.0 s, because: exit code 3$/);
  await pass(999);
  assert.equal(web.status().status, 'Starting');
  assert.equal(context.callsOf('web').filter((call) => call === 'launch').length, 1);
  await pass(1);
  await begin();
  const { status, restarts, last_restart_reason, restarts_at } = web.status();
  assert.deepEqual([status, restarts, last_restart_reason, restarts_at], ['Started', 1, 'exit code 3', null]);
});

test('between two runs, the saved state has the end of the last one, and that the service is wanted up', async () => {
  const { context, exit } = await startWeb(ALWAYS);
  await exit(3);
  const { status, desired, restarts, restarts_in_row, last_restart_reason } = context.saved.at(-1)!;
  assert.deepEqual(
    { status, desired, restarts, restarts_in_row, last_restart_reason },
    {
      status: { Stopped: { exit_code: 3 } },
      ...{ desired: 'up', restarts: 1, restarts_in_row: 1, last_restart_reason: 'exit code 3' },
    },
  );
});

test('a stop between two runs ends the wait, and is saved', async () => {
  const { context, web, exit, pass } = await startWeb(ALWAYS);
  await exit(3);
  const { status, exit_code, desired } = await web.stop();
  assert.deepEqual([status, exit_code, desired], ['Stopped', 3, 'down']);
  assert.equal(context.saved.at(-1)!.desired, 'down');
  assert.equal(context.clock.timers, 0);
  await pass(100_000);
  assert.equal(web.status().status, 'Stopped');
});

test('a start between two runs does not wait, and resets the restart count', async () => {
  const { web, begin, exit } = await startWeb(ALWAYS);
  await exit(3);
  const started = web.start();
  await begin();
  const { status, restarts } = await started;
  assert.deepEqual([status, restarts], ['Started', 0]);
});

test('a start succeeds once the command has run, and fails when it never did', async () => {
  const { web, exit } = await startWeb(ALWAYS, () => {});
  await exit(0);
  const broken = new FakeContext();
  broken.onPrepare = () => Promise.reject(new Error('no kernel'));
  const definition = { ...web.definition, service: scriptService('db', 'true', ALWAYS) };
  const db = new Supervisor(definition, broken);
  await assert.rejects(db.start(), { code: 'StartFailed', message: 'no kernel' });
  assert.deepEqual([db.status().status, db.status().error], ['Starting', 'no kernel'], 'it is tried again');
  await db.stop();
});

test('a start that fails because the host lacks something is not tried again', async () => {
  const context = new FakeContext();
  context.onPrepare = () => Promise.reject(new MonocoreError('ToolMissing', 'no kernel; run monocore setup'));
  const service = scriptService('db', 'true', ALWAYS);
  const db = new Supervisor({ service, group: null, groupIp: null, kernel: null }, context);
  await assert.rejects(db.start(), { message: 'no kernel; run monocore setup' });
  assert.deepEqual([db.status().status, db.status().restarts, db.status().desired], ['Failed', 0, 'up']);
  assert.equal(context.clock.timers, 0);
});

test('a shutdown of the daemon ends a service that stays wanted up, also between two runs', async () => {
  const running = await startWeb(ALWAYS);
  const suspended = running.web.suspend();
  await settle();
  await running.exit(0);
  assert.deepEqual([(await suspended).status, running.web.status().desired], ['Stopped', 'up']);
  assert.equal(running.context.clock.timers, 0);
  const waiting = await startWeb(ALWAYS);
  await waiting.exit(3);
  const { status, desired } = await waiting.web.suspend();
  assert.deepEqual([status, desired], ['Stopped', 'up']);
  assert.equal(waiting.context.clock.timers, 0);
});

test('a service is probed at once, then at its interval, and its verdict is shown', async () => {
  const { context, web, vm, pass } = await startWeb({ healthcheck: CHECK }, (world) => {
    world.probeResults.push(BAD, OK, BAD, BAD);
  });
  const verdict = () => [web.status().health, web.status().health_detail];
  assert.deepEqual(verdict(), ['starting', 'connection refused']);
  await pass(10_000);
  assert.deepEqual(verdict(), ['healthy', 'connected']);
  await pass(10_000);
  assert.deepEqual(verdict(), ['healthy', 'connection refused']);
  await pass(10_000);
  assert.deepEqual(verdict(), ['unhealthy', 'connection refused']);
  assert.equal(web.status().status, 'Started', 'it was not asked to be restarted');
  assert.equal(context.callsOf('web').filter((call) => call === 'probe tcp').length, 4);
  vm().end();
  await web.ended();
  assert.equal(context.clock.timers, 0);
});

test('a probe that runs when the service ends has no effect', async () => {
  const { context, web, exit } = await startWeb({ healthcheck: CHECK });
  assert.equal(context.callsOf('web').at(-1), 'probe tcp');
  await exit(0);
  assert.deepEqual([web.status().status, web.status().health], ['Stopped', null]);
  assert.equal(context.clock.timers, 0);
});

test('an unhealthy service is stopped gracefully and restarted where `on_unhealthy` says so', async () => {
  const { context, web, begin, exit, pass } = await startWeb(
    { healthcheck: { ...CHECK, retries: 1 }, on_unhealthy: 'restart' },
    (world) => world.probeResults.push(BAD, OK),
  );
  assert.deepEqual([web.status().status, web.status().reason], ['Stopping', 'unhealthy']);
  assert.equal(context.callsOf('web').at(-1), 'signal SIGTERM');
  await exit(143);
  assert.equal(web.status().last_restart_reason, 'it was unhealthy: connection refused');
  await pass(1000);
  await begin();
  assert.deepEqual([web.status().status, web.status().health], ['Started', 'healthy']);
});

test('a line that matches makes a service healthy; one of an earlier run does not', async () => {
  const healthcheck: HealthCheck = { ...CHECK, probe: { type: 'log_line', pattern: 'ready' } };
  const { context, web, begin, exit, pass } = await startWeb({ ...ALWAYS, healthcheck });
  assert.equal(web.status().health, 'starting');
  context.lines.get('web')!();
  await settle();
  assert.equal(web.status().health, 'healthy');
  assert.equal(context.clock.timers, 0, 'it is not looked for again');
  await exit(0);
  assert.equal(context.lines.size, 0);
  await pass(1000);
  await begin();
  assert.equal(web.status().health, 'starting');
});

test('a service above its memory is restarted', async () => {
  const restart = { ...DEFAULT_RESTART_SETTINGS, max_memory_bytes: 100 * 2 ** 20 };
  const { context, web, exit } = await startWeb({ restart });
  for (let sample = 0; sample < 3; sample += 1) {
    context.samples.get('web')!({ ...NO_METRICS, memory_usage: 200 * 2 ** 20 });
    await settle();
  }
  assert.deepEqual([web.status().status, web.status().reason], ['Stopping', 'max-memory']);
  await exit(143);
  assert.equal(web.status().last_restart_reason, 'it used 200 MiB of memory, more than its max_memory of 100 MiB');
});

test('a VM that ended unexpectedly is shown with its last console lines and the panic of its guest', async () => {
  const { web, vm } = await startWeb({}, (world) => {
    world.consoleLines.push('a line', '[    2.1] Kernel panic - not syncing: Attempted to kill init!');
    for (let line = 0; line < 60; line += 1) world.consoleLines.push(`[    2.1] RIP: ${line}`);
  });
  vm().end({ code: 0, signal: null });
  const { status, reason, error, last_lines } = await web.ended();
  assert.deepEqual([status, reason, last_lines.length], ['Failed', 'guest-panic', 10]);
  assert.match(last_lines[0]!, /Kernel panic/, 'what follows it is of little use');
  assert.match(error!, /the guest's kernel panicked: Kernel panic - not syncing: Attempted to kill init!/);
});

test('the step of the stop that ended a service is shown', async () => {
  const { web, vm, pass } = await startWeb({ stop_timeout_ms: 5000, stop_signal: 'SIGINT' });
  const stopped = web.stop();
  await settle();
  await pass(5000);
  vm().end({ code: 0, signal: null });
  const { ended_by, exit_code, reason } = await stopped;
  assert.deepEqual([ended_by, exit_code, reason], ['vm_sigterm', null, 'stopped']);
});

test('a command that could not be run is tried again where its restart policy says so', async () => {
  const { context, web, exit, pass } = await startWeb(ALWAYS);
  await exit(0);
  await pass(1000);
  const vm = context.vms.get('web')!;
  vm.emit({ type: 'job-failed', error: 'command not found: nginx' });
  await settle();
  await pass(RELEASE_TIMEOUT_MS);
  vm.end();
  await settle();
  assert.deepEqual([web.status().status, web.status().error], ['Starting', 'command not found: nginx']);
  assert.equal(web.status().reason, 'command-failed');
});

test('a paused VM is shown with the reason, and reported once', async () => {
  const { context, web, vm } = await startWeb({});
  vm().emit({ type: 'paused', reason: 'there is no room' });
  assert.equal(web.status().detail, 'paused: there is no room');
  assert.equal(context.reports.at(-1), 'warn: web: its VM is paused: there is no room');
  vm().emit({ type: 'paused', reason: null });
  assert.equal(web.status().detail, null);
});

test('the last lines of a run that failed are those of the service, or else of the console', async () => {
  for (const [code, restart, printed, expected] of [
    [3, {}, ['printed'], ['printed']],
    [3, {}, [], ['from the console']],
    [3, { when: 'always', max_restarts: 0 }, ['printed'], ['printed']],
    // It has done what it was to do.
    [0, {}, ['printed'], []],
  ] as const) {
    const { web, exit } = await startWeb({ restart: { ...scriptService('web', '').restart, ...restart } }, (world) => {
      world.consoleLines.push('from the console');
      world.printedLines.push(...printed);
    });
    await exit(code);
    assert.deepEqual(web.status().last_lines, expected, `${code} ${printed}`);
  }
});

test('a run that is stopped has no last lines, however it ends', async () => {
  const { web, exit } = await startWeb({}, (world) => world.printedLines.push('printed'));
  const stopped = web.stop();
  await settle();
  await exit(143);
  assert.deepEqual((await stopped).last_lines, []);
});
