import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { TYPESCRIPT_OPTIONS } from '../../helpers/processes/typescript.ts';

const grower = fileURLToPath(new URL('../../fixtures/table-grower.ts', import.meta.url));

/** See the fixture. */
interface Table {
  readonly slots: number;
  readonly open: number;
}

/** A process of its own with that many descriptors at most; Node raises a soft limit, so it is the hard one. */
function grow(limit: number): { readonly before: Table; readonly after: Table } {
  const args = ['-c', `ulimit -n ${limit} && exec "$@"`, 'sh', process.execPath, ...TYPESCRIPT_OPTIONS];
  return JSON.parse(execFileSync('/bin/sh', [...args, grower], { encoding: 'utf8' }));
}

test('the table has room for 2048 descriptors, and none of them stays open', () => {
  const { before, after } = grow(4096);
  assert.ok(before.slots < 2048, `${before.slots}`);
  assert.deepEqual(after, { slots: 2048, open: before.open });
});

test('a low limit is not exhausted', () => {
  const { before, after } = grow(1024);
  assert.deepEqual(after, { slots: 1024, open: before.open });
  const low = grow(128);
  assert.deepEqual(low.after, low.before);
});
