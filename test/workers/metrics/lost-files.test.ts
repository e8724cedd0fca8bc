/** A process that ends while pidusage reads it for the first time. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { listDescriptors } from '../../../src/lib/proc.ts';
import { UsagePoller } from '../../../workers/metrics/usage.ts';
import { eventually } from '../../helpers/eventually.ts';

const MAX_AGE_MS = 100;
const PATH = `/proc/${process.pid}/stat`;

function openCount(): number {
  return listDescriptors('self').filter(({ target }) => target === PATH).length;
}

test('the file of a process that ends between being opened and being read is closed', async (t) => {
  const read = t.mock.method(fs, 'read', (...args: unknown[]) => {
    const done = args.at(-1) as (error: Error) => void;
    done(Object.assign(new Error('ESRCH: no such process, read'), { code: 'ESRCH' }));
  });
  const usages = await new UsagePoller(MAX_AGE_MS).poll([{ pid: process.pid, startTicks: 1 }]);
  read.mock.restore();
  assert.equal(usages.size, 0);
  assert.equal(openCount(), 1, 'pidusage keeps it');
  await eventually('the file to be closed', () => openCount() === 0);
});
