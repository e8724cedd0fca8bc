import assert from 'node:assert/strict';
import test from 'node:test';
import { ConditionSchema } from '../../src/protocol/supervision.ts';
import { checkCondition } from '../../src/supervisor/readiness.ts';
import type { Health, VmState } from '../../src/supervisor/states.ts';
import { failed, started, stopped, stopping } from '../helpers/fakes/states.ts';

const health = (verdict: Health['verdict']): Health => ({ verdict, failures: 0, detail: 'connection refused' });
const EXIT_3 = stopped({ exit: { code: 3, signal: null } });

test('each condition is met, pending or failed in every state', () => {
  const table: [VmState, string][] = [
    [{ status: 'Unstarted' }, 'pending pending pending'],
    [{ status: 'Starting', phase: 'booting', pid: 7 }, 'pending pending pending'],
    // The next run may do better.
    [{ status: 'Starting', phase: 'waiting', pid: null, resumeAtMs: 0, last: EXIT_3 }, 'pending pending pending'],
    [started(), 'met pending pending'],
    [started({ health: health('starting') }), 'met pending pending'],
    [started({ health: health('healthy') }), 'met met pending'],
    [started({ health: health('unhealthy') }), 'met failed pending'],
    [stopping('draining'), 'met pending pending'],
    [stopping('terminating', { startedAtMs: null }), 'pending pending pending'],
    [stopped(), 'met failed met'],
    [EXIT_3, 'met failed failed'],
    [stopped({ startedAtMs: null, exit: { code: null, signal: null } }), 'failed failed failed'],
    [failed(), 'failed failed failed'],
  ];
  for (const [state, expected] of table) {
    const results = ConditionSchema.options.map((condition) => {
      const check = checkCondition(condition, state);
      return typeof check === 'string' ? check : 'failed';
    });
    assert.equal(results.join(' '), expected, JSON.stringify(state));
  }
});

test('a condition that cannot be met has a reason that completes the name of the service', () => {
  const failures = [
    checkCondition('healthy', started({ health: health('unhealthy') })),
    checkCondition('completed', EXIT_3),
    checkCondition('started', failed({ error: 'no kernel' })),
  ];
  const expected = ['is unhealthy: connection refused', 'ended: exit code 3', 'failed: no kernel'];
  assert.deepEqual(
    failures,
    expected.map((failure) => ({ failure })),
  );
});
