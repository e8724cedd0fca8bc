/** A file of its own: pidusage sweeps at the pace of the first poller of the process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { listDescriptors, openProcFiles } from '../../../src/lib/proc.ts';
import { Sampler } from '../../../workers/metrics/sampler.ts';
import { UsagePoller } from '../../../workers/metrics/usage.ts';
import { eventually } from '../../helpers/eventually.ts';
import { defer } from '../../helpers/temp.ts';

test('watching and unwatching 50 processes leaves no file open', async (t) => {
  const sampler = new Sampler(openProcFiles, new UsagePoller(100));
  const countFiles = () => listDescriptors('self').length;
  for (let round = 0; round < 5; round += 1) {
    const children = Array.from({ length: 10 }, () => {
      const child = spawn('sleep', ['infinity'], { stdio: 'ignore' });
      defer(t, () => child.kill('SIGKILL'));
      return child;
    });
    await Promise.all(children.map((child) => once(child, 'spawn')));
    const before = countFiles();
    for (const { pid } of children) sampler.watch(`service-${pid}`, pid!);
    await sampler.sample();
    assert.ok(countFiles() >= before + 10, 'pidusage no longer keeps files open: simplify usage.ts');
    for (const { pid } of children) sampler.unwatch(`service-${pid}`);
    await eventually('all files closed', () => countFiles() <= before);
    const ends = children.map((child) => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ends);
  }
});
