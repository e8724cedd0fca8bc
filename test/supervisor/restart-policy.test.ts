import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { RestartWhenSchema } from '../../src/protocol/supervision.ts';
import {
  backOffMs,
  countOverMemory,
  decideRestart,
  describeEnd,
  JITTER,
  MAX_DELAY_MS,
  startsWithDaemon,
} from '../../src/supervisor/restart-policy.ts';
import { type EndedState, NO_RESTARTS, type RestartHistory, type Rules } from '../../src/supervisor/states.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { failed, serviceState, stopped } from '../helpers/fakes/states.ts';

const NOW = { ms: 1_000_000, ageMs: 0, jitter: 0.5 };

function rules(restart: Partial<Rules['restart']>, overrides: Partial<Rules> = {}): Rules {
  const settings = { when: 'no', max_restarts: null, reset_ms: 60_000, max_memory_bytes: null, ...restart } as const;
  return scriptService('web', 'true', { restart: settings, ...overrides });
}

function decide(when: Rules['restart']['when'], ended: EndedState): string {
  return decideRestart(rules({ when }), ended, false, NO_RESTARTS, NOW).type;
}

const EXIT_0 = stopped();
const EXIT_3 = stopped({ exit: { code: 3, signal: null } });
const EXIT_UNKNOWN = stopped({ exit: { code: null, signal: null } });

test('each policy restarts after its kinds of end', () => {
  const table: [EndedState, { [When in Rules['restart']['when']]: boolean }][] = [
    [EXIT_0, { no: false, 'on-failure': false, always: true, 'unless-stopped': true }],
    [EXIT_3, { no: false, 'on-failure': true, always: true, 'unless-stopped': true }],
    [EXIT_UNKNOWN, { no: false, 'on-failure': true, always: true, 'unless-stopped': true }],
    [failed(), { no: false, 'on-failure': true, always: true, 'unless-stopped': true }],
    [stopped({ reason: 'unhealthy' }), { no: true, 'on-failure': true, always: true, 'unless-stopped': true }],
    [failed({ reason: 'boot-timeout' }), { no: true, 'on-failure': true, always: true, 'unless-stopped': true }],
    [stopped({ reason: 'max-memory' }), { no: true, 'on-failure': true, always: true, 'unless-stopped': true }],
  ];
  for (const [ended, expected] of table) {
    for (const when of RestartWhenSchema.options) {
      assert.equal(
        decide(when, ended),
        expected[when] ? 'restart' : 'stay-down',
        `${when} after ${describeEnd(ended)}`,
      );
    }
  }
});

test('a boot that hangs is tried once more at once, counted, whatever the policy; then the policy decides', () => {
  const hung = failed({ reason: 'boot-timeout', error: 'the VM was not ready in 120 s' });
  for (const when of ['no', 'always'] as const) {
    const first = decideRestart(rules({ when }), hung, false, NO_RESTARTS, NOW);
    assert.ok(first.type === 'restart');
    const { delayMs, restarts } = first;
    assert.deepEqual([delayMs, restarts], [0, { total: 1, inRow: 1, lastReason: 'the VM was not ready in 120 s' }]);
    const second = decideRestart(rules({ when }), hung, false, restarts, NOW);
    assert.deepEqual(second.type === 'restart' ? second.delayMs > 0 : second.type, when === 'no' ? 'stay-down' : true);
  }
});

/** Delays of a service that always fails at once. */
function failRepeatedly(settings: Partial<Rules['restart']>, times: number) {
  let restarts: RestartHistory = NO_RESTARTS;
  const delaysMs: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const decision = decideRestart(rules({ when: 'always', ...settings }), EXIT_3, false, restarts, NOW);
    if (decision.type !== 'restart') return { delaysMs, restarts, decision };
    delaysMs.push(decision.delayMs);
    restarts = decision.restarts;
  }
  return { delaysMs, restarts, decision: null };
}

test('the wait doubles from one second to one minute', () => {
  const { delaysMs, restarts } = failRepeatedly({}, 9);
  assert.deepEqual(delaysMs, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.deepEqual(restarts, { total: 9, inRow: 9, lastReason: 'exit code 3' });
});

test('a service is given up after the allowed restarts in a row, with the reason of the last end', () => {
  const { delaysMs, decision } = failRepeatedly({ max_restarts: 2 }, 5);
  assert.equal(delaysMs.length, 2);
  assert.deepEqual(decision, {
    type: 'give-up',
    message: 'gave up after 2 restarts in a row; last reason: exit code 3',
  });
});

test('a run that was long enough resets the row, but not the total', () => {
  const tired = { total: 8, inRow: 5, lastReason: 'x' };
  const ranFor = (durationMs: number, overrides: Partial<Rules> = {}, wasHealthy = false) => {
    const now = { ...NOW, ageMs: durationMs };
    return decideRestart(rules({ when: 'always', max_restarts: 5 }, overrides), stopped(), wasHealthy, tired, now);
  };
  const fresh = { type: 'restart', delayMs: 1000, restarts: { total: 9, inRow: 1, lastReason: 'exit code 0' } };
  assert.deepEqual(ranFor(60_000), fresh);
  assert.equal(ranFor(59_999).type, 'give-up');
  const healthcheck = healthCheck({ interval_ms: 1, timeout_ms: 1 });
  assert.equal(ranFor(60_000, { healthcheck }).type, 'give-up', 'it never was healthy');
  assert.deepEqual(ranFor(60_000, { healthcheck }, true), fresh);
});

test('jitter keeps within a fifth of the delay, at any number of restarts', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.double({ min: 0, max: 0.999, noNaN: true }), (inRow, jitter) => {
      const plain = Math.min(1000 * 2 ** Math.min(inRow, 30), MAX_DELAY_MS);
      const delayMs = backOffMs(inRow, jitter);
      return delayMs >= Math.floor(plain * (1 - JITTER)) && delayMs <= Math.ceil(plain * (1 + JITTER));
    }),
  );
  assert.notEqual(backOffMs(0, 0.1), backOffMs(0, 0.9));
});

test('samples count above the limit, reset the count well below it, and keep it between', () => {
  assert.equal(countOverMemory(1, 1001, 1000), 2);
  assert.equal(countOverMemory(2, 1000, 1000), 2);
  assert.equal(countOverMemory(2, 901, 1000), 2);
  assert.equal(countOverMemory(2, 899, 1000), 0);
});

test('an end is described by its known facts', () => {
  assert.equal(describeEnd(EXIT_3), 'exit code 3');
  assert.equal(describeEnd(EXIT_UNKNOWN), 'its exit code is unknown');
  assert.equal(describeEnd(stopped({ exit: { code: 137, signal: 'SIGKILL' } })), 'ended by SIGKILL');
  assert.equal(describeEnd(stopped({ reason: 'out-of-memory' })), 'the guest ran out of memory');
  assert.equal(describeEnd(stopped({ reason: 'unhealthy', detail: 'it was unhealthy: no' })), 'it was unhealthy: no');
  assert.equal(describeEnd(failed({ error: 'no kernel' })), 'no kernel');
});

test('a new daemon starts services that should be up, and those that always should be if it was started for them', () => {
  const suspended = stopped({ reason: 'stopped' });
  const cases: [Rules['restart']['when'], Parameters<typeof serviceState>, boolean, boolean][] = [
    ['no', [EXIT_3], true, false],
    ['on-failure', [EXIT_3], false, true],
    ['on-failure', [EXIT_0], true, false],
    ['on-failure', [suspended], true, false],
    ['on-failure', [failed({ reason: 'lost' })], false, true],
    ['unless-stopped', [suspended], false, true],
    ['unless-stopped', [suspended, { desired: 'down' }], true, false],
    ['always', [suspended], false, true],
    ['always', [suspended, { desired: 'down' }], false, false],
    ['always', [suspended, { desired: 'down' }], true, true],
    ['always', [failed({ reason: 'gave-up' })], true, false],
    ['always', [{ status: 'Unstarted' }], true, false],
  ];
  for (const [when, state, startsAll, expected] of cases) {
    const actual = startsWithDaemon(when, serviceState(...state), startsAll);
    assert.equal(actual, expected, `${when}, ${JSON.stringify(state)}, ${startsAll}`);
  }
});
