import assert from 'node:assert/strict';
import test from 'node:test';
import type { ServiceDefinition } from '../../src/lifecycle/document.ts';
import { planStart } from '../../src/lifecycle/plan.ts';
import type { Service } from '../../src/protocol/service.ts';
import { scriptService } from '../helpers/services.ts';

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
  assert.deepEqual(planStart(ended, define({ cpus: 2 })), { action: 'start', reason: 'cpus differs' });
});

test('one that runs otherwise is restarted, and the keys of the config say why', () => {
  assert.deepEqual(whenUp(define(), define({ ram_mib: 256, envs: { A: '1' }, stop_timeout_ms: 1 })), {
    action: 'restart',
    reason: 'envs, ram and stop_timeout differ',
  });
  assert.deepEqual(whenUp(define(), define({}, { kernel: '/boot/vmlinuz' })).reason, 'kernel differs');
});

test('a change of its group is one of the service', () => {
  const inGroup = (local_only: boolean, groupIp = '127.0.0.2') =>
    define({ group: 'shop' }, { group: { name: 'shop', local_only }, groupIp });
  assert.equal(whenUp(inGroup(true), inGroup(false)).reason, 'group local_only differs');
  assert.equal(whenUp(inGroup(true), inGroup(true, '127.0.0.3')).reason, 'group address differs');
  assert.equal(whenUp(define(), inGroup(true)).reason, 'group differs');
});
