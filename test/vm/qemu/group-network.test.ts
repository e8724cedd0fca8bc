import assert from 'node:assert/strict';
import test from 'node:test';
import { describeNetworkLimits, groupObstacle } from '../../../src/vm/qemu/group-network.ts';
import { scriptService } from '../../helpers/fakes/services.ts';

test('QEMU connects the VMs of a group from 7.2 on', () => {
  for (const version of ['7.2.0', '7.2.22', '7.10.0', '8.0.0', '10.1.0-rc1'])
    assert.equal(groupObstacle(version), null);
  for (const version of ['7.1.0', '6.2.0', '5.2', 'unknown', '']) {
    assert.equal(groupObstacle(version), `QEMU ${version} has no -netdev stream; 7.2 and newer have it`);
  }
});

test('a service is told what does not work of its network', () => {
  const udp = scriptService('web', '', { ports: [{ host: 53, guest: 53, protocol: 'udp' }] });
  const member = scriptService('web', '', { group: 'shop' });
  assert.deepEqual(describeNetworkLimits({ ...udp, group: 'shop' }, null), []);
  const [names, ports] = [
    'it reaches no service of its group by name: QEMU is old',
    'its UDP ports are closed: QEMU is old',
  ];
  assert.deepEqual(describeNetworkLimits(udp, 'QEMU is old'), [ports]);
  assert.deepEqual(describeNetworkLimits(member, 'QEMU is old'), [names]);
  assert.deepEqual(describeNetworkLimits({ ...udp, group: 'shop' }, 'QEMU is old'), [names, ports]);
});
