import assert from 'node:assert/strict';
import test from 'node:test';
import type { HealthCheck } from '../../src/protocol/supervision.ts';
import { evaluateProbe, STARTING_INTERVAL_MS, UNPROBED } from '../../src/supervisor/health.ts';
import type { Health } from '../../src/supervisor/states.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';

const CHECK = healthCheck({ retries: 3, start_period_ms: 30_000 });
const OK = { ok: true, detail: 'connected' };
const BAD = { ok: false, detail: 'connection refused' };

/** Verdicts after each of these results, at one age of the run. */
function verdicts(answers: readonly (typeof OK)[], ageMs: number, check = CHECK): Health['verdict'][] {
  let health: Health = UNPROBED;
  return answers.map((answer) => {
    health = evaluateProbe(check, health, answer, ageMs).health;
    return health.verdict;
  });
}

test('failures do not count in the start period, and the next probe comes soon', () => {
  assert.deepEqual(verdicts([BAD, BAD, BAD, BAD, BAD], 29_999), Array(5).fill('starting'));
  const { nextProbeMs, health } = evaluateProbe(CHECK, UNPROBED, BAD, 0);
  assert.deepEqual([nextProbeMs, health.detail], [STARTING_INTERVAL_MS, 'connection refused']);
  assert.equal(evaluateProbe({ ...CHECK, interval_ms: 200 }, UNPROBED, BAD, 0).nextProbeMs, 200);
});

test('after the start period, `retries` failures in a row make it unhealthy, and one success healthy', () => {
  assert.deepEqual(verdicts([BAD, BAD, BAD], 30_000), ['starting', 'starting', 'unhealthy']);
  assert.deepEqual(verdicts([OK, BAD, BAD, OK, BAD, BAD, BAD, OK], 30_000), [
    ...['healthy', 'healthy', 'healthy', 'healthy', 'healthy', 'healthy', 'unhealthy', 'healthy'],
  ]);
});

test('a success ends the start period', () => {
  assert.deepEqual(verdicts([OK, BAD, BAD, BAD], 0), ['healthy', 'healthy', 'healthy', 'unhealthy']);
});

test('a line that was printed is not looked for again', () => {
  const check: HealthCheck = { ...CHECK, probe: { type: 'log_line', pattern: 'ready' } };
  assert.equal(evaluateProbe(check, UNPROBED, OK, 0).nextProbeMs, null);
  assert.equal(evaluateProbe(CHECK, UNPROBED, OK, 0).nextProbeMs, 10_000);
});
