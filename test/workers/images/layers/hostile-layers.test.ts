/** Layers that try to reach beyond their image: each is refused or contained, and nothing is left behind. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MonocoreError } from '../../../../src/lib/errors.ts';
import type { RootImageLimits } from '../../../../workers/images/limits.ts';
import { mountSmallDisk } from '../../../helpers/disks/small-disk.ts';
import {
  END_OF_ARCHIVE,
  type LayerEntry,
  packTar,
  rawEntry,
  rawHeader,
  rawPax,
  writeBlob,
  writeLayers,
  zstd,
} from '../../../helpers/images/layers.ts';
import { buildAndRead, buildImage, LIMITS, leftIn, mergeLayers } from '../../../helpers/images/root-image.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

interface Refusal {
  readonly message: RegExp;
  readonly limit?: string;
  readonly limits?: Partial<RootImageLimits>;
}

/** Asserts that the layers are refused for that reason, and that neither an image nor an unfinished file is left. */
async function assertRefused(
  t: TestContext,
  makeLayers: (dir: string) => readonly string[] | Promise<readonly string[]>,
  { message, limit, limits }: Refusal,
): Promise<void> {
  const dir = await makeTempDir(t);
  const layers = await makeLayers(dir);
  await assert.rejects(buildImage(dir, layers, { ...LIMITS, ...limits }), (error: unknown) => {
    assert.ok(error instanceof MonocoreError, String(error));
    assert.equal(error.code, 'ImageInvalid');
    assert.match(error.message, message);
    assert.deepEqual(error.details, limit === undefined ? null : { limit });
    return true;
  });
  assert.deepEqual(leftIn(dir), []);
}

const refuseEntries = (t: TestContext, entries: readonly LayerEntry[], refusal: Refusal) =>
  assertRefused(t, (dir) => writeLayers(dir, [entries]), refusal);

const refuseBytes = (t: TestContext, parts: readonly Buffer[], refusal: Refusal) =>
  assertRefused(t, (dir) => [writeBlob(dir, 'layer', Buffer.concat(parts))], refusal);

test('absolute paths and .. stay inside the image and do not touch the host', async (t) => {
  const dir = await makeTempDir(t);
  const inner = join(dir, 'inner');
  mkdirSync(inner);
  const victim = join(dir, 'victim');
  writeFileSync(victim, 'untouched');
  const layers = await writeLayers(inner, [
    [
      { name: `${'../'.repeat(40)}${victim.slice(1)}`, content: 'changed' },
      { name: victim, content: 'changed' },
      { name: '../escaped', content: 'e' },
      { name: 'a/../../b/./c//d', content: 'd' },
      { name: 'link', type: 'symlink', linkname: dir },
      { name: 'link/victim', content: 'changed' },
      { name: 'hard', type: 'link', linkname: `../../..${victim}` },
      { name: '.wh.victim' },
    ],
  ]);
  await buildImage(inner, layers);
  assert.equal(readFileSync(victim, 'utf8'), 'untouched');
  assert.deepEqual(readdirSync(dir).sort(), ['inner', 'victim']);
  assert.deepEqual(leftIn(inner), ['root.erofs']);
  assert.equal(existsSync('/escaped'), false);
});

test('paths that lead above the root end in the root', async (t) => {
  const files = await mergeLayers(t, [
    { name: '../../up', content: '1' },
    { name: '/abs', content: '2' },
    { name: 'a/../../b' },
    { name: 'hard', type: 'link', linkname: '../../../abs' },
  ]);
  assert.deepEqual([...files.keys()].sort(), ['/', '/abs', '/b', '/hard', '/up']);
});

test('a hard link to a missing file is refused with both names', async (t) => {
  const message = /^layer 1: evil is a hard link to \/etc\/shadow, which does not exist$/;
  await refuseEntries(t, [{ name: 'evil', type: 'link', linkname: '/etc/shadow' }], { message });
});

test('a hard link through a symlink is refused', async (t) => {
  const entries: LayerEntry[] = [
    { name: 'etc', type: 'symlink', linkname: '/etc' },
    { name: 'evil', type: 'link', linkname: 'etc/passwd' },
  ];
  await refuseEntries(t, entries, { message: /evil is a hard link to etc\/passwd, which does not exist/ });
});

test('a hard link to a directory is refused', async (t) => {
  const entries: LayerEntry[] = [{ name: 'd/f' }, { name: 'd/loop', type: 'link', linkname: 'd' }];
  await refuseEntries(t, entries, { message: /hard link to the directory d/ });
});

test('whiteouts of the directory itself or its parent are refused', async (t) => {
  for (const name of ['.wh.', '.wh..', '.wh...', 'a/.wh..']) {
    await refuseEntries(t, [{ name }], { message: /names nothing/ });
  }
  await refuseEntries(t, [{ name: '.wh.a/b' }], { message: /the name of a whiteout/ });
});

test('a root that is not a directory is refused', async (t) => {
  await refuseEntries(t, [{ name: './..', type: 'symlink', linkname: '/etc' }], {
    message: /root is not a directory/,
  });
});

test('paths and names that Linux does not allow are refused', async (t) => {
  const deep = 'd/'.repeat(2049);
  await refuseEntries(t, [{ name: deep }], { message: /path of 4098 bytes/, limit: 'path' });
  await refuseEntries(t, [{ name: 'n'.repeat(256) }], { message: /name of 256 bytes/, limit: 'name' });
  const target = 't'.repeat(4096);
  await refuseEntries(t, [{ name: 'l', type: 'symlink', linkname: target }], { message: /target/, limit: 'path' });
  await refuseBytes(t, [rawPax({ path: 'a\0b' }), rawHeader({ name: 'a', type: '0' })], { message: /zero byte/ });
});

test('more entries than the limit are refused, implied directories included', async (t) => {
  const entries = Array.from({ length: 101 }, (_, index) => ({ name: `${index}` }));
  const refusal = { message: /more than 100 entries/, limit: 'entries', limits: { maxEntries: 100 } };
  await refuseEntries(t, entries, refusal);
  await refuseEntries(t, [{ name: 'd/'.repeat(101) }], refusal);
  await refuseEntries(t, [{ name: `${'d/'.repeat(100)}f` }], refusal);
  await refuseEntries(
    t,
    entries.map(() => ({ name: 'same' })),
    refusal,
  );
});

test('entries up to the limit are accepted, each directory counted once', async (t) => {
  const dir = await makeTempDir(t);
  const entries = Array.from({ length: 100 }, (_, index) => ({ name: `${index}`, type: 'directory' as const }));
  await buildImage(dir, await writeLayers(dir, [entries]), { ...LIMITS, maxEntries: 100 });
});

test('contents above the size limit are refused before they are written', async (t) => {
  const refusal = { message: /more than 1000000 bytes/, limit: 'image-bytes', limits: { maxImageBytes: 1_000_000 } };
  await refuseBytes(t, [rawHeader({ name: 'huge', type: '0', size: 0o77777777777 })], refusal);
  await refuseEntries(
    t,
    [1, 2, 3].map(() => ({ name: 'same', content: Buffer.alloc(400_000) })),
    refusal,
  );
  await refuseEntries(
    t,
    Array.from({ length: 1500 }, (_, index) => ({ name: `${index}-${'n'.repeat(240)}`, content: 'x'.repeat(500) })),
    refusal,
  );
});

test('a decompression bomb is stopped at the limit, in gzip and in zstd', async (t) => {
  // Entries that need no room in the image, and no end.
  const filler = Buffer.concat([
    rawHeader({ name: '.wh..wh.aufs', type: '0', size: 200 * 2 ** 20 }),
    Buffer.alloc(200 * 2 ** 20),
  ]);
  const refusal = { message: /when decompressed/, limit: 'layer-bytes', limits: { maxEntries: 100 } };
  await assertRefused(t, (dir) => [writeBlob(dir, 'layer', gzipSync(filler, { level: 1 }))], refusal);
  await assertRefused(t, (dir) => [writeBlob(dir, 'layer', zstd(filler))], refusal);
});

test('a zstd window that would exhaust memory is refused', async (t) => {
  const bytes = zstd(Buffer.alloc(600 * 2 ** 20), '--ultra', '--long=29', '--single-thread');
  await assertRefused(t, (dir) => [writeBlob(dir, 'layer', bytes)], { message: /zstd window/ });
});

test('extended attributes and headers that are too long are refused', async (t) => {
  const file = rawHeader({ name: 'f', type: '0' });
  const refusal = { message: /extended attributes of f are too long/, limit: 'xattrs' };
  await refuseBytes(t, [rawPax({ 'SCHILY.xattr.user.a': Buffer.alloc(65_536) }), file], refusal);
  await refuseBytes(t, [rawPax({ [`SCHILY.xattr.user.${'n'.repeat(251)}`]: '' }), file], refusal);
  const many = Array.from({ length: 3 }, (_, index) => [`SCHILY.xattr.user.${index}`, Buffer.alloc(30_000)]);
  await refuseBytes(t, [rawPax(Object.fromEntries(many)), file], refusal);
  await refuseBytes(t, [rawHeader({ name: 'x', type: 'x', size: 2 ** 30 })], {
    message: /an extended header of 1073741824 bytes/,
  });
});

test('global extended headers are ignored and not kept in memory', async (t) => {
  const dir = await makeTempDir(t);
  const layer = Buffer.concat([
    rawPax({ uid: '7', path: 'elsewhere', 'SCHILY.xattr.user.a': 'b' }, 'g'),
    rawHeader({ name: 'a', type: '0' }),
    rawPax({ gid: '8' }),
    rawHeader({ name: 'b', type: '0' }),
    END_OF_ARCHIVE,
  ]);
  const files = await buildAndRead(dir, [writeBlob(dir, 'layer', layer)]);
  const owners = [...files].map(([path, { uid, gid, xattrs }]) => [path, uid, gid, Object.keys(xattrs)]);
  assert.deepEqual(owners, [
    ['/', 0, 0, []],
    ['/a', 0, 0, []],
    ['/b', 0, 8, []],
  ]);
});

test('malformed and truncated archives and unknown entry types are refused', async (t) => {
  await refuseBytes(t, [Buffer.alloc(2048, 'no tar')], { message: /layer 1 cannot be read: not a tar header/ });
  const file = rawEntry({ name: 'f', type: '0' }, Buffer.alloc(2000));
  await refuseBytes(t, [file.subarray(0, 1500)], { message: /ends in the middle of an entry/ });
  await refuseBytes(t, [rawEntry({ name: 'x', type: 'x' }, Buffer.from('99 path=a\n')), file], {
    message: /malformed/,
  });
  await refuseBytes(t, [rawHeader({ name: 'f', type: 'S' })], { message: /f has a type that is not supported/ });
  await refuseBytes(t, [rawPax({ 'GNU.sparse.major': '1' }), file], { message: /sparse/ });
  await refuseBytes(t, [rawPax({ uid: '-1' }), file], { message: /impossible uid: -1/ });
  const gzip = gzipSync(await packTar([{ name: 'a', content: Buffer.alloc(50_000) }]));
  await refuseBytes(t, [gzip.subarray(0, -20)], { message: /layer 1 cannot be read/ });
  await refuseBytes(t, [zstd(file).subarray(0, -8)], { message: /layer 1 cannot be read/ });
});

test('data behind the end mark is ignored', async (t) => {
  const dir = await makeTempDir(t);
  const layer = Buffer.concat([
    rawHeader({ name: 'seen', type: '0' }),
    END_OF_ARCHIVE,
    rawHeader({ name: 'hidden', type: '0' }),
  ]);
  const path = await buildImage(dir, [writeBlob(dir, 'layer', layer)]);
  assert.equal(readFileSync(path).includes('hidden'), false);
});

test('the size of a link hides no entry behind it', async (t) => {
  const dir = await makeTempDir(t);
  const layer = Buffer.concat([
    rawHeader({ name: 'a', type: '0' }),
    rawHeader({ name: 'b', type: '1', linkname: 'a', size: 512 }),
    rawHeader({ name: 'after', type: '0' }),
    END_OF_ARCHIVE,
  ]);
  const path = await buildImage(dir, [writeBlob(dir, 'layer', layer)]);
  assert.equal(readFileSync(path).includes('after'), true);
});

test('names are case-sensitive, and __proto__ is an ordinary name', async (t) => {
  const files = await mergeLayers(t, [
    { name: 'A', content: '1' },
    { name: 'a', content: '2' },
    { name: '__proto__', content: '3', pax: { constructor: 'x' } as never },
    { name: 'constructor/x' },
  ]);
  assert.deepEqual([...files.keys()].sort(), ['/', '/A', '/__proto__', '/a', '/constructor', '/constructor/x']);
});

test('many whiteouts of a large directory cost no more than one', async (t) => {
  const lower = Array.from({ length: 2000 }, (_, index) => ({ name: `d/${index}` }));
  const upper = [
    ...Array.from({ length: 3000 }, (_, index) => ({ name: `d/new-${index}` })),
    ...Array.from({ length: 3000 }, () => ({ name: 'd/.wh..wh..opq' })),
  ];
  const files = await mergeLayers(t, lower, upper);
  assert.equal(files.size, 3002);
});

test('a missing layer is a system error and leaves the existing image alone', async (t) => {
  const dir = await makeTempDir(t);
  const path = await buildImage(dir, await writeLayers(dir, [[{ name: 'a' }]]));
  const before = readFileSync(path);
  await assert.rejects(buildImage(dir, [join(dir, 'gone')]), { code: 'ENOENT' });
  assert.deepEqual(readFileSync(path), before);
  assert.deepEqual(leftIn(dir), ['root.erofs']);
});

test('a full disk is a system error, and nothing is left on it', async (t) => {
  const dir = await makeTempDir(t);
  const disk = await mountSmallDisk(t);
  const layers = await writeLayers(dir, [[{ name: 'a', content: Buffer.alloc(3_000_000) }]]);
  await assert.rejects(buildImage(disk, layers), { code: 'ENOSPC' });
  assert.deepEqual(readdirSync(disk), []);
});
