import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { compressLog } from '../../../../workers/jobs/logs/compress.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const NAME = 'web.stdout.000001.log';
const CONTENT = 'a line of a log\n'.repeat(100_000);

test('the compressed file replaces the plain one, with its time and a mode that shippers can read', async (t) => {
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const dir = await makeTempDir(t);
  const path = join(dir, NAME);
  writeFileSync(path, CONTENT);
  utimesSync(path, 1000, 2000);
  await compressLog(path);
  assert.deepEqual(readdirSync(dir), [`${NAME}.gz`]);
  const { mode, mtimeMs } = statSync(`${path}.gz`);
  assert.deepEqual([mode & 0o777, mtimeMs], [0o644, 2_000_000]);
  assert.equal(gunzipSync(readFileSync(`${path}.gz`)).toString() === CONTENT, true);
});

test('a reader that has the file open reads it to its end', async (t) => {
  const path = join(await makeTempDir(t), NAME);
  writeFileSync(path, CONTENT);
  const fd = openSync(path, 'r');
  t.after(() => closeSync(fd));
  await compressLog(path);
  const bytes = Buffer.alloc(CONTENT.length);
  assert.equal(readSync(fd, bytes, 0, bytes.length, 0), CONTENT.length);
});

test('an interrupted compression is done again', async (t) => {
  const path = join(await makeTempDir(t), NAME);
  writeFileSync(path, CONTENT);
  writeFileSync(`${path}.gz.tmp`, 'half of it');
  await compressLog(path);
  assert.equal(gunzipSync(readFileSync(`${path}.gz`)).length, CONTENT.length);
  assert.deepEqual([existsSync(path), existsSync(`${path}.gz.tmp`)], [false, false]);
});

test('a compression interrupted before the plain file was removed is completed', async (t) => {
  const path = join(await makeTempDir(t), NAME);
  writeFileSync(path, CONTENT);
  const compressed = gzipSync(CONTENT);
  writeFileSync(`${path}.gz`, compressed);
  await compressLog(path);
  assert.equal(existsSync(path), false);
  assert.deepEqual(readFileSync(`${path}.gz`), compressed);
});

test('a missing file is ignored', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, `${NAME}.gz.tmp`), 'half of it');
  await compressLog(join(dir, NAME));
  assert.deepEqual(readdirSync(dir), []);
});
