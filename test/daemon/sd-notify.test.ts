import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { ServiceNotifier, takeNotifySocket } from '../../src/daemon/sd-notify.ts';
import { eventually } from '../helpers/eventually.ts';
import { ManualClock } from '../helpers/fakes/manual-clock.ts';
import { type NotifyReceiver, receiveNotifications } from '../helpers/servers/notify-socket.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

describe('the variables of a service manager', () => {
  const PID = 1234;

  test('are removed from the environment, and no others', () => {
    const env = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1234', PATH: '/bin' };
    assert.deepEqual(takeNotifySocket(env, PID), { address: '/run/notify', watchdogMs: 3000 });
    assert.deepEqual(env, { PATH: '/bin' });
    assert.equal(takeNotifySocket(env, PID), null);
  });

  test('without a socket are removed, too, and nobody is notified', () => {
    const env = { NOTIFY_SOCKET: '', WATCHDOG_USEC: '3000000' };
    assert.equal(takeNotifySocket(env, PID), null);
    assert.deepEqual(env, {});
  });

  for (const [what, variables] of [
    ['is missing', {}],
    ['is meant for another process', { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' }],
    ['is no time', { WATCHDOG_USEC: 'soon' }],
    ['is zero', { WATCHDOG_USEC: '0' }],
  ] as const) {
    test(`set no watchdog when it ${what}`, () => {
      const socket = takeNotifySocket({ NOTIFY_SOCKET: '@monocore', ...variables }, PID);
      assert.deepEqual(socket, { address: '@monocore', watchdogMs: null });
    });
  }
});

describe('a service manager', () => {
  /** Without a watchdog by default. */
  async function prepare(t: TestContext, { watchdogMs = null as number | null, address = '' } = {}) {
    const receiver: NotifyReceiver = await receiveNotifications(t);
    const { PATH } = process.env;
    process.env.PATH = receiver.searchPath;
    defer(t, () => {
      process.env.PATH = PATH;
    });
    const clock = new ManualClock();
    const reports: string[] = [];
    /** Results of the next checks. */
    const checks = { count: 0, next: async (): Promise<void> => {} };
    const notifier = new ServiceNotifier({
      socket: { address: address || receiver.path, watchdogMs },
      clock,
      report: (_level, message) => reports.push(message),
      checkAlive() {
        checks.count += 1;
        return checks.next();
      },
    });
    defer(t, () => notifier.close('ended'));
    return { receiver, clock, reports, checks, notifier };
  }

  test('is told of readiness with the status, and of the stop', async (t) => {
    const { receiver, notifier, reports } = await prepare(t);
    notifier.ready('2 services, 1 running');
    notifier.stopping('stopping all services');
    await receiver.until('STOPPING=1');
    await notifier.close('ended');
    const expected = [
      ['READY=1', 'STATUS=2 services, 1 running'],
      ['STOPPING=1', 'STATUS=stopping all services', 'EXTEND_TIMEOUT_USEC=30000000'],
    ];
    assert.deepEqual(receiver.messages.slice(0, 2), expected);
    assert.deepEqual(receiver.messages.at(-1), ['STATUS=ended'], 'it is shown until the next start');
    assert.deepEqual(reports, []);
  });

  test('gets the last of several changes of the status, and no repetition', async (t) => {
    const { receiver, notifier, clock } = await prepare(t);
    notifier.ready('0 services');
    notifier.status('0 services');
    assert.equal(clock.timers, 0);
    for (const status of ['1 service', '2 services', '3 services']) notifier.status(status);
    clock.advance(1000);
    await receiver.until('STATUS=3 services');
    notifier.status('4 services');
    await notifier.close('ended');
    assert.equal(clock.timers, 0);
    assert.deepEqual(receiver.messages, [['READY=1', 'STATUS=0 services'], ['STATUS=3 services'], ['STATUS=ended']]);
  });

  test('without a watchdog gets no signs of life while the daemon runs', async (t) => {
    const { notifier, clock, checks } = await prepare(t);
    notifier.ready('');
    assert.equal(clock.timers, 0);
    assert.equal(checks.count, 0);
  });

  test('with a watchdog gets a sign of life after half of its time, each time after a check', async (t) => {
    const { receiver, notifier, clock, checks } = await prepare(t, { watchdogMs: 30_000 });
    notifier.ready('');
    clock.advance(14_999);
    assert.equal(checks.count, 0);
    let after = 0;
    for (let beat = 1; beat <= 3; beat += 1) {
      clock.advance(15_000);
      assert.equal(checks.count, beat);
      after = (await receiver.until('WATCHDOG=1', after)) + 1;
      await eventually('the next beat to be awaited', () => clock.timers === 1);
    }
    assert.deepEqual(receiver.messages.slice(1), [['WATCHDOG=1'], ['WATCHDOG=1'], ['WATCHDOG=1']]);
  });

  test('gets no sign of life while the check hangs or fails, and one soon after it succeeds', async (t) => {
    const { receiver, notifier, clock, checks, reports } = await prepare(t, { watchdogMs: 30_000 });
    notifier.ready('');
    await receiver.until('READY=1');
    checks.next = () => new Promise(() => {});
    clock.advance(15_000);
    clock.advance(15_000);
    await settled();
    assert.match(reports[0]!, /a keep-alive to the service manager: .* did not answer in 15000 ms/);
    checks.next = () => Promise.reject(new Error('the logs thread ended'));
    clock.advance(500);
    await settled();
    assert.equal(checks.count, 2);
    assert.deepEqual(receiver.messages, [['READY=1', 'STATUS=']]);
    checks.next = async () => {};
    clock.advance(500);
    await receiver.until('WATCHDOG=1');
    assert.equal(reports.length, 1);
  });

  test('gives more time to a stop, again and again', async (t) => {
    const { receiver, notifier, clock } = await prepare(t);
    notifier.ready('');
    notifier.stopping('');
    const first = await receiver.until('EXTEND_TIMEOUT_USEC=30000000');
    await eventually('the next beat to be awaited', () => clock.timers === 1);
    clock.advance(15_000);
    await receiver.until('EXTEND_TIMEOUT_USEC=30000000', first + 1);
    await notifier.close('ended');
    assert.equal(clock.timers, 0);
  });

  test('that cannot be notified is reported once', async (t) => {
    const address = join(await makeTempDir(t), 'nobody.sock');
    const { notifier, reports } = await prepare(t, { address });
    notifier.ready('');
    notifier.stopping('');
    await eventually('the report', () => reports.length > 0);
    await notifier.close('ended');
    assert.equal(reports.length, 1);
    assert.match(reports[0]!, /^cannot notify the service manager: .*systemd-notify/s);
  });

  test('is told of readiness by the next sign of life where the first message failed', async (t) => {
    const { receiver, notifier, clock, reports } = await prepare(t, { watchdogMs: 2000 });
    process.env.PATH = await makeTempDir(t);
    notifier.ready('2 services');
    await eventually('the report', () => reports.length > 0);
    process.env.PATH = receiver.searchPath;
    clock.advance(1000);
    const at = await receiver.until('WATCHDOG=1');
    assert.deepEqual(receiver.messages[at], ['READY=1', 'STATUS=2 services', 'WATCHDOG=1']);
    await eventually('the next beat to be awaited', () => clock.timers === 1);
    clock.advance(1000);
    const next = await receiver.until('WATCHDOG=1', at + 1);
    assert.deepEqual(receiver.messages[next], ['WATCHDOG=1']);
  });
});
