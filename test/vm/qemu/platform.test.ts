import assert from 'node:assert/strict';
import test from 'node:test';
import { groupObstacle, measureTscKhz } from '../../../src/vm/qemu/platform.ts';

test('QEMU connects the VMs of a group from 7.2 on', () => {
  for (const version of ['7.2.0', '7.2.22', '7.10.0', '8.0.0', '10.1.0-rc1'])
    assert.equal(groupObstacle(version), null);
  for (const version of ['7.1.0', '6.2.0', '5.2', 'unknown', '']) {
    assert.equal(groupObstacle(version), `QEMU ${version} has no -netdev stream; 7.2 and newer have it`);
  }
});

test('the rate of the time stamp counter is measured, whatever /proc/cpuinfo says', async () => {
  const [first, second] = [await measureTscKhz(), await measureTscKhz()];
  assert.ok(first > 100_000 && first < 20_000_000, `${first} kHz`);
  assert.ok(Math.abs(first / second - 1) < 0.001, `${first} and ${second} kHz`);
  await assert.rejects(measureTscKhz('/bin/false'), {
    code: 'StartFailed',
    message: "the rate of the processor's time stamp counter could not be measured: /bin/false: exit code 1",
  });
});
