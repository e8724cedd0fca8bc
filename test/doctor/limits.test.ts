import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import test from 'node:test';
import { checkCgroups, checkUsers } from '../../src/doctor/limits.ts';

const USABLE = { type: 'usable', version: 2, dir: '/sys/fs/cgroup/a.service', evacuate: null } as const;
const UNUSABLE = { type: 'unusable', reason: 'not delegated' } as const;

test('a host that offers both controllers is told where', () => {
  assert.deepEqual(checkCgroups({ cpu: USABLE, memory: USABLE }), {
    state: 'ok',
    finding: 'cpu in /sys/fs/cgroup/a.service (v2), memory in /sys/fs/cgroup/a.service (v2)',
    advice: null,
  });
});

test('what is missing is a warning with what to do, each reason once', () => {
  const { state, finding, advice } = checkCgroups({ cpu: UNUSABLE, memory: UNUSABLE });
  assert.deepEqual([state, finding], ['warning', 'not delegated']);
  assert.match(advice!, /Delegate=yes/);
  assert.equal(checkCgroups({ cpu: USABLE, memory: UNUSABLE }).state, 'warning');
});

test('only root runs services as other users', () => {
  assert.match(checkUsers(0).finding, /^services may run as any user, by .*setpriv$/);
  const { state, finding, advice } = checkUsers(1000);
  assert.deepEqual([state, finding], ['warning', `services run as ${userInfo().username} only`]);
  assert.match(advice!, /root/);
});
