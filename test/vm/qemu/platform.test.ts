import assert from 'node:assert/strict';
import test from 'node:test';
import { groupObstacle, readTscKhz } from '../../../src/vm/qemu/platform.ts';

test('QEMU connects the VMs of a group from 7.2 on', () => {
  for (const version of ['7.2.0', '7.2.22', '7.10.0', '8.0.0', '10.1.0-rc1'])
    assert.equal(groupObstacle(version), null);
  for (const version of ['7.1.0', '6.2.0', '5.2', 'unknown', '']) {
    assert.equal(groupObstacle(version), `QEMU ${version} has no -netdev stream; 7.2 and newer have it`);
  }
});

test('the counter’s rate is the nominal one, else the current one', () => {
  assert.equal(readTscKhz('model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu MHz\t\t: 800.0\n'), 2_200_000);
  assert.equal(readTscKhz('model name\t: AMD EPYC\ncpu MHz\t\t: 2449.998\n'), 2_449_998);
  assert.equal(readTscKhz('processor\t: 0\n'), null);
});
