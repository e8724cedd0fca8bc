/** The daemon dies between every two steps of a start and of a stop; the next one must make the best of it. */
import { test } from 'node:test';
import { AT_ONCE, dieAtEach } from '../../helpers/fault-points.ts';

test('a daemon that dies at any step of a process is recovered from', { concurrency: AT_ONCE }, (t) =>
  dieAtEach(t, 'process', () => true),
);

/** Steps that differ for a VM with a kernel: the launch that nobody noted, the boot that nobody watched, the drain, the power-off. */
const VM_STEPS = new Set(['spawned', 'watch-metrics', 'drain', 'release']);

test('a daemon that dies at the steps of a VM is recovered from', { concurrency: AT_ONCE }, (t) =>
  dieAtEach(t, 'vm', (step) => VM_STEPS.has(step)),
);
