import assert from 'node:assert/strict';
import test from 'node:test';
import { grantOpenFiles } from '../../../../src/vm/host/limits/open-files.ts';

test('a service gets the files that it asks for, where the daemon may give them', () => {
  assert.deepEqual(grantOpenFiles(64, 1024), { count: 64, note: null });
  assert.deepEqual(grantOpenFiles(1024, 1024), { count: 1024, note: null });
  assert.deepEqual(grantOpenFiles(null, 1024), { count: null, note: null });
});

test('where it may not, the service gets the most that it may, and a note says so', () => {
  assert.deepEqual(grantOpenFiles(65_536, 1024), {
    count: 1024,
    note: 'open_files is 1024 and not 65536: the daemon may not allow more',
  });
});
