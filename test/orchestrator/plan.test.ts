import assert from 'node:assert/strict';
import test from 'node:test';
import { planStart } from '../../src/orchestrator/plan.ts';
import type { Service } from '../../src/protocol/service.ts';
import { INITIAL_STATE } from '../../src/supervisor/states.ts';
import type { ServiceDefinition } from '../../src/supervisor/status.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { serviceState, started, stopped } from '../helpers/fakes/states.ts';

function define(overrides: Partial<Service> = {}, rest: Partial<ServiceDefinition> = {}): ServiceDefinition {
  return { service: scriptService('web', 'true', overrides), group: null, groupIp: null, kernel: null, ...rest };
}

/** The plan for a service that runs as `known`. */
const whenUp = (known: ServiceDefinition, wanted: ServiceDefinition) =>
  planStart({ definition: known, isUp: true, state: serviceState(started()) }, wanted);

test('a service that is unknown or never ran is created', () => {
  assert.deepEqual(planStart(null, define()), { action: 'create', reason: null });
  const known = { definition: define({ ram_mib: 512 }), isUp: false, state: INITIAL_STATE };
  assert.deepEqual(planStart(known, define()), { action: 'create', reason: null });
});

test('a service that runs as wanted is kept, one that has ended is started', () => {
  assert.deepEqual(whenUp(define(), define()), { action: 'keep', reason: null });
  const ended = { definition: define(), isUp: false, state: serviceState(stopped()) };
  assert.deepEqual(planStart(ended, define()), { action: 'start', reason: null });
  assert.deepEqual(planStart(ended, define({ cpus: 2 })), { action: 'start', reason: 'cpus changed from 1 to 2' });
});

test('a service that runs differently is restarted, with every difference as the reason', () => {
  assert.deepEqual(whenUp(define(), define({ ram_mib: 256, envs: { A: '1' } })), {
    action: 'restart',
    reason: 'variables added: A; ram changed from 128MiB to 256MiB',
  });
});
