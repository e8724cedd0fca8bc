import assert from 'node:assert/strict';
import test from 'node:test';
import { memoryLimitBytes } from '../../../src/vm/qemu/memory-limit.ts';

const MIB = 2 ** 20;

test('a VM may take its RAM and what QEMU needs beside it, and a large one more for its page tables', () => {
  assert.equal(memoryLimitBytes(128, false), (128 + 1 + 384) * MIB);
  assert.equal(memoryLimitBytes(65_536, false), (65_536 + 512 + 384) * MIB);
});

test('files of the host are allowed for in proportion to what the guest can know', () => {
  assert.equal(memoryLimitBytes(128, true), (128 + 1 + 224 + 384) * MIB);
});

test('the limit is a whole number of pages', () => {
  assert.equal(memoryLimitBytes(100, false) % MIB, 0);
});
