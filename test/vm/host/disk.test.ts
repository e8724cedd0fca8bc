import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { prepareDisk } from '../../../src/vm/host/disk.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const MIB = 2 ** 20;
/** Place and bytes of the superblock's magic number, see the kernel's documentation of ext4's disk layout. */
const MAGIC = { offset: 1024 + 0x38, bytes: Buffer.of(0x53, 0xef) };

test('a disk has the size that it was asked for, and takes hardly any room', async (t) => {
  const path = join(await makeTempDir(t), 'disk', 'web.img');
  await prepareDisk(path, 2048, 'web');
  const { size, blocks, mode } = statSync(path);
  assert.equal(size, 2048 * MIB);
  assert.ok(blocks * 512 < 4 * MIB, `${blocks} blocks`);
  assert.equal(mode & 0o777, 0o600, 'nobody else may read what a guest wrote');
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(2), 0, 2, MAGIC.offset).finally(() => file.close());
  assert.deepEqual(buffer, MAGIC.bytes);
});

test('the smallest disk has a journal', async (t) => {
  const path = join(await makeTempDir(t), 'web.img');
  await prepareDisk(path, 16, 'web');
  assert.match(execFileSync('dumpe2fs', ['-h', path], { encoding: 'utf8', stdio: 'pipe' }), /has_journal/);
});

test('a disk that is there is left alone', async (t) => {
  const path = join(await makeTempDir(t), 'web.img');
  writeFileSync(path, Buffer.alloc(16 * MIB, 'x'));
  const before = statSync(path);
  await prepareDisk(path, 16, 'web');
  assert.deepEqual([statSync(path).ino, statSync(path).mtimeMs], [before.ino, before.mtimeMs]);
});

test('another size than that of the disk is refused, with what to do', async (t) => {
  const path = join(await makeTempDir(t), 'web.img');
  await prepareDisk(path, 16, 'web');
  for (const [sizeMib, text] of [
    [32, '32 MiB'],
    [8, '8 MiB'],
  ] as const) {
    await assert.rejects(prepareDisk(path, sizeMib, 'web'), {
      code: 'StartFailed',
      message:
        `the disk of web has 16 MiB, but its config asks for ${text}; keep the size, or delete the disk with: ` +
        'monocore remove web',
    });
  }
  assert.equal(statSync(path).size, 16 * MIB);
});

test('a disk whose making was cut off is begun anew, and one that cannot be made leaves nothing', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'web.img');
  writeFileSync(`${path}.tmp`, 'cut off');
  await prepareDisk(path, 16, 'web');
  assert.deepEqual(readdirSync(dir), ['web.img']);

  const bin = await makeTempDir(t);
  writeProgram(join(bin, 'mkfs.ext4'), 'echo "No space left on device" >&2; exit 1');
  const ownPath = process.env.PATH;
  t.after(() => {
    process.env.PATH = ownPath;
  });
  process.env.PATH = `${bin}:${ownPath}`;
  await assert.rejects(prepareDisk(join(dir, 'other.img'), 16, 'other'), {
    code: 'StartFailed',
    message: `the disk of other cannot be created: ${join(bin, 'mkfs.ext4')}: No space left on device`,
  });
  assert.deepEqual(readdirSync(dir), ['web.img']);
});

test('a home that cannot be written to is an error with the cause', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'disk'), 'a file where the folder should be');
  await assert.rejects(prepareDisk(join(dir, 'disk', 'web.img'), 16, 'web'), {
    code: 'StartFailed',
    message: `the disk of web cannot be created: ${join(dir, 'disk')}: file already exists (EEXIST)`,
  });
});
