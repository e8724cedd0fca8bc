import assert from 'node:assert/strict';
import { it } from 'node:test';
import { limitFor } from './descriptors.ts';

it('the limit leaves as many free numbers below it as are spared, whatever is open', () => {
  assert.equal(limitFor([0, 1, 2], 0), 3);
  assert.equal(limitFor([0, 1, 2], 2), 5);
  // The gap is taken first.
  assert.equal(limitFor([0, 1, 2, 5, 40], 0), 3);
  assert.equal(limitFor([0, 1, 2, 5, 40], 3), 7);
  for (const spare of [0, 1, 7]) {
    const open = [0, 1, 3, 8];
    const limit = limitFor(open, spare);
    const free = Array.from({ length: limit }, (_, fd) => fd).filter((fd) => !open.includes(fd));
    assert.equal(free.length, spare);
  }
});
