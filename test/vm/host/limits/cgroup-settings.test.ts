import assert from 'node:assert/strict';
import test from 'node:test';
import { needsController, renderSettings, weightOfShares } from '../../../../src/vm/host/limits/cgroup-settings.ts';

const ALL = { memoryBytes: 512 * 2 ** 20, cpus: 1.5, cpuShares: 2048 };
const NONE = { memoryBytes: null, cpus: null, cpuShares: null };

test('under cgroup v1 shares, quota and memory have a file each', () => {
  assert.deepEqual(renderSettings(1, 'cpu', ALL), [
    { file: 'cpu.shares', value: '2048' },
    { file: 'cpu.cfs_period_us', value: '100000' },
    { file: 'cpu.cfs_quota_us', value: '150000' },
  ]);
  assert.deepEqual(renderSettings(1, 'memory', ALL), [{ file: 'memory.limit_in_bytes', value: '536870912' }]);
});

test('under cgroup v2 shares are a weight, and quota and period one line', () => {
  assert.deepEqual(renderSettings(2, 'cpu', ALL), [
    { file: 'cpu.weight', value: '200' },
    { file: 'cpu.max', value: '150000 100000' },
  ]);
  assert.deepEqual(renderSettings(2, 'memory', ALL), [{ file: 'memory.max', value: '536870912' }]);
});

test('what is not limited is not written, and needs no controller', () => {
  for (const controller of ['cpu', 'memory'] as const) {
    assert.deepEqual(renderSettings(2, controller, NONE), []);
    assert.equal(needsController(controller, NONE), false);
    assert.equal(needsController(controller, ALL), true);
  }
  assert.equal(needsController('cpu', { ...NONE, cpuShares: 2 }), true);
  assert.equal(needsController('memory', { ...NONE, cpuShares: 2 }), false);
});

test('shares become a weight in proportion, the usual the usual, within what the kernel takes', () => {
  assert.deepEqual(
    [2, 10, 512, 1024, 2048, 102_400, 262_144].map(weightOfShares),
    [1, 1, 50, 100, 200, 10_000, 10_000],
  );
});
