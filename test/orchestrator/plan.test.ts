import assert from 'node:assert/strict';
import test from 'node:test';
import { planStart } from '../../src/orchestrator/plan.ts';
import type { Service } from '../../src/protocol/service.ts';
import type { ServiceDefinition } from '../../src/supervisor/status.ts';
import { scriptService } from '../helpers/fakes/services.ts';

function define(overrides: Partial<Service> = {}, rest: Partial<ServiceDefinition> = {}): ServiceDefinition {
  return { service: scriptService('web', 'true', overrides), group: null, groupIp: null, kernel: null, ...rest };
}

/** What a start does to a service that runs as `known`. */
const whenUp = (known: ServiceDefinition, wanted: ServiceDefinition) =>
  planStart({ definition: known, isUp: true, isNew: false }, wanted);

test('one that nobody knows or that never ran is created', () => {
  assert.deepEqual(planStart(null, define()), { action: 'create', reason: null });
  const known = { definition: define({ ram_mib: 512 }), isUp: false, isNew: true };
  assert.deepEqual(planStart(known, define()), { action: 'create', reason: null });
});

test('one that runs as it should is kept, one that ended is started', () => {
  assert.deepEqual(whenUp(define(), define()), { action: 'keep', reason: null });
  const ended = { definition: define(), isUp: false, isNew: false };
  assert.deepEqual(planStart(ended, define()), { action: 'start', reason: null });
  assert.deepEqual(planStart(ended, define({ cpus: 2 })), { action: 'start', reason: 'cpus changed from 1 to 2' });
});

test('one that runs otherwise is restarted, and every difference says why', () => {
  assert.deepEqual(whenUp(define(), define({ ram_mib: 256, envs: { A: '1' } })), {
    action: 'restart',
    reason: 'variables added: A; ram changed from 128MiB to 256MiB',
  });
});
