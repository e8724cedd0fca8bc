import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { readBounded } from '../../src/lib/files.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('a file is read up to its bound, and one above it is refused', async (t) => {
  const path = join(await makeTempDir(t), 'file');
  writeFileSync(path, 'grün');
  assert.equal(await readBounded(path, 5), 'grün');
  await assert.rejects(readBounded(path, 4), { code: 'Internal', message: `${path} has more than 4 B` });
  await assert.rejects(readBounded(`${path}.missing`, 4), { code: 'ENOENT' });
  await assert.rejects(readBounded('/proc', 4), { code: 'EISDIR', path: '/proc' });
  await assert.rejects(readBounded('/dev/zero', 2 ** 20), { code: 'Internal' });
});

test('a FIFO without a writer is empty', async (t) => {
  const path = join(await makeTempDir(t), 'fifo');
  execFileSync('mkfifo', [path]);
  assert.equal(await readBounded(path, 5), '');
});
