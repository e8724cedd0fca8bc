import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const folder = new URL('../../../src/vm/process/shim/', import.meta.url);

test('the programs are those of the source', () => {
  const sha256 = createHash('sha256')
    .update(readFileSync(new URL('shim.c', folder)))
    .digest('hex');
  for (const architecture of ['x64', 'arm64']) {
    const program = readFileSync(new URL(`${architecture}/monocore-shim`, folder));
    assert.ok(program.includes(sha256), `${architecture}: run scripts/compile-shim.sh`);
  }
});
