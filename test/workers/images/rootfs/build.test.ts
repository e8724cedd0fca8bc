import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { buildRootImage } from '../../../../workers/images/rootfs/build.ts';
import type { ErofsFile } from '../../../helpers/images/erofs-reader.ts';
import {
  END_OF_ARCHIVE,
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

/** Paths of an image, sorted, and the contents of files. */
function show(files: ReadonlyMap<string, ErofsFile>): Record<string, string> {
  return Object.fromEntries(
    [...files]
      .filter(([path]) => path !== '/')
      .map(([path, { mode, content }]) => [path, (mode & 0o170000) === 0o040000 ? 'directory' : content.toString()]),
  );
}

test('files, directories, links, devices and FIFOs keep owner, mode and time', async (t) => {
  const mtime = new Date(1_700_000_000_000);
  const files = await mergeLayers(t, [
    { name: './', type: 'directory', mode: 0o700, uid: 3, mtime },
    { name: './bin/', type: 'directory', mode: 0o1777, uid: 1, gid: 2, mtime },
    { name: './bin/su', content: 'program', mode: 0o4755, uid: 70_000, gid: 80_000, mtime },
    { name: 'bin/sudo', type: 'link', linkname: './bin/su' },
    { name: 'sbin', type: 'symlink', linkname: '/../bin', uid: 5, mtime },
    { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
    { name: 'dev/disk', type: 'block-device', devmajor: 259, devminor: 70_000, mode: 0o660 },
    { name: 'run/fifo', type: 'fifo', mode: 0o600 },
  ]);
  const look = (path: string) => {
    const { mode, uid, gid, mtimeS, links, device } = files.get(path)!;
    return [mode.toString(8), uid, gid, mtimeS, links, device];
  };
  assert.deepEqual(look('/'), ['40700', 3, 0, 1_700_000_000, 5, 0]);
  assert.deepEqual(look('/bin'), ['41777', 1, 2, 1_700_000_000, 2, 0]);
  assert.deepEqual(look('/bin/su'), ['104755', 70_000, 80_000, 1_700_000_000, 2, 0]);
  assert.equal(files.get('/bin/sudo')!.nid, files.get('/bin/su')!.nid);
  assert.deepEqual(look('/sbin'), ['120777', 5, 0, 1_700_000_000, 1, 0]);
  assert.equal(files.get('/sbin')!.content.toString(), '/../bin');
  assert.deepEqual(look('/dev/null'), ['20666', 0, 0, 0, 1, 0x103]);
  assert.deepEqual(look('/dev/disk'), [
    '60660',
    0,
    0,
    0,
    1,
    ((70_000 & 0xff) | (259 << 8) | ((70_000 & ~0xff) << 12)) >>> 0,
  ]);
  assert.deepEqual(look('/run/fifo'), ['10600', 0, 0, 0, 1, 0]);
  assert.deepEqual(look('/run'), ['40755', 0, 0, 0, 2, 0], 'a directory that only a path names');
});

test('contents of every size around a block are kept', async (t) => {
  const sizes = [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 6145, 8192, 100_000, 3_000_001];
  const contents = sizes.map((size) => Buffer.alloc(size, `content of ${size} bytes, `));
  const files = await mergeLayers(
    t,
    contents.map((content) => ({ name: `${content.length}`, content })),
  );
  for (const content of contents) assert.deepEqual(files.get(`/${content.length}`)!.content, content);
});

test('a directory of many blocks has all its names in order', async (t) => {
  const names = Array.from({ length: 3000 }, (_, index) => `${'n'.repeat(index % 200)}-${index}`);
  const files = await mergeLayers(
    t,
    [...names, '!', '-', '.a', '..a', 'Ä'].map((name) => ({ name: `many/${name}` })),
  );
  assert.equal(files.size, 3000 + 5 + 2);
});

test('long and non-UTF-8 names and targets are kept, in ustar, pax and GNU headers', async (t) => {
  const dir = await makeTempDir(t);
  const long = `${'d'.repeat(200)}/${'f'.repeat(250)}`;
  const longTarget = Buffer.from('t'.repeat(4095));
  const blob = writeBlob(
    dir,
    'layer',
    Buffer.concat([
      rawEntry({ name: Buffer.from([0x61, 0xff, 0xfe]), type: '0' }, Buffer.from('ustar')),
      rawPax({ path: Buffer.from([0x62, 0xff]) }),
      rawEntry({ name: 'short', type: '0' }, Buffer.from('pax')),
      rawEntry({ name: '././@LongLink', type: 'L' }, Buffer.from(`${long}\0`)),
      rawEntry({ name: 'short', type: '0' }, Buffer.from('gnu')),
      rawEntry({ name: '././@LongLink', type: 'K' }, longTarget),
      rawHeader({ name: 'link', type: '2' }),
      END_OF_ARCHIVE,
    ]),
  );
  const files = await buildAndRead(dir, [blob]);
  assert.equal(files.get('/a\xff\xfe')?.content.toString(), 'ustar');
  assert.equal(files.get('/b\xff')?.content.toString(), 'pax');
  assert.equal(files.get(`/${long}`)?.content.toString(), 'gnu');
  assert.deepEqual(files.get('/link')?.content, longTarget);
});

test('extended attributes keep their bytes; those of overlayfs and other systems are left out', async (t) => {
  const dir = await makeTempDir(t);
  const capability = Buffer.from([1, 0, 0, 2, 0x80, 0xff, 0x0a, 0x3d, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const blob = writeBlob(
    dir,
    'layer',
    Buffer.concat([
      rawPax({
        'SCHILY.xattr.security.capability': capability,
        'SCHILY.xattr.user.note': 'text',
        'SCHILY.xattr.user.empty': '',
        'SCHILY.xattr.trusted.overlay.opaque': 'y',
        'SCHILY.xattr.com.apple.quarantine': 'q',
        mtime: '-1.25',
        uid: '3000000000',
      }),
      rawEntry({ name: 'ping', type: '0' }, Buffer.alloc(2000, 'p')),
      END_OF_ARCHIVE,
    ]),
  );
  const file = (await buildAndRead(dir, [blob])).get('/ping')!;
  assert.deepEqual(file.xattrs, {
    'security.capability': capability.toString('latin1'),
    'user.empty': '',
    'user.note': 'text',
  });
  assert.deepEqual([file.mtimeS, file.mtimeNs, file.uid], [-2, 750_000_000, 3_000_000_000]);
  assert.equal(file.content.toString(), 'p'.repeat(2000));
});

test('whiteouts hide files of lower layers and none of their own, in any order', async (t) => {
  const lower = [{ name: 'a/old' }, { name: 'a/deep/old' }, { name: 'b' }, { name: 'c/x' }, { name: 'keep' }];
  const upper = [
    { name: 'a/new' },
    { name: '.wh.b' },
    { name: 'b/inside' },
    { name: '.wh.c' },
    { name: '.wh.nothing' },
  ];
  const whiteout = { name: '.wh.a' };
  const expected = { '/a': 'directory', '/a/new': '', '/b': 'directory', '/b/inside': '', '/keep': '' };
  assert.deepEqual(show(await mergeLayers(t, lower, [whiteout, ...upper])), expected);
  assert.deepEqual(show(await mergeLayers(t, lower, [...upper, whiteout])), expected);
});

test('an opaque whiteout empties a directory, which keeps its attributes', async (t) => {
  const lower = [{ name: 'a', type: 'directory', mode: 0o700 }, { name: 'a/b/old' }, { name: 'a/old' }] as const;
  const upper = [{ name: 'a/b/new' }, { name: 'a/.wh..wh..opq' }];
  for (const entries of [upper, upper.toReversed()]) {
    const files = await mergeLayers(t, lower, entries);
    assert.deepEqual(show(files), { '/a': 'directory', '/a/b': 'directory', '/a/b/new': '' });
    assert.equal(files.get('/a')!.mode, 0o040700);
  }
});

test('files replace directories and vice versa; symlinks are replaced, not followed', async (t) => {
  const files = await mergeLayers(
    t,
    [{ name: 'd/x' }, { name: 'f' }, { name: 'l', type: 'symlink', linkname: 'd' }, { name: 'twice', content: '1' }],
    [{ name: 'd', content: 'file' }, { name: 'f/x' }, { name: 'l/y' }, { name: 'twice', content: '2' }],
    [
      { name: 'twice', content: '3' },
      { name: 'twice', content: '4' },
    ],
  );
  assert.deepEqual(show(files), {
    '/d': 'file',
    '/f': 'directory',
    '/f/x': '',
    '/l': 'directory',
    '/l/y': '',
    '/twice': '4',
  });
});

test('a hard link shares a file of a lower layer, even when its first name is removed', async (t) => {
  const files = await mergeLayers(
    t,
    [
      { name: 'a', content: 'shared' },
      { name: 'b', type: 'link', linkname: '/a' },
    ],
    [{ name: 'c', type: 'link', linkname: 'b' }, { name: 'a', content: 'other' }, { name: '.wh.b' }],
  );
  assert.deepEqual(show(files), { '/a': 'other', '/c': 'shared' });
  assert.equal(files.get('/c')!.links, 1);
});

test('contents that upper layers hide take no space in the image', async (t) => {
  const dir = await makeTempDir(t);
  const big = (fill: string) => Buffer.alloc(2_500_000, fill);
  const layers = await writeLayers(dir, [
    [
      { name: '1', content: big('1') },
      { name: '2', content: big('2') },
      { name: '3', content: big('3') },
    ],
    [{ name: '.wh.1' }, { name: '3', content: 'small' }, { name: '4', content: big('4') }],
  ]);
  const files = await buildAndRead(dir, layers);
  assert.deepEqual(files.get('/2')!.content, big('2'));
  assert.deepEqual(files.get('/4')!.content, big('4'));
  assert.equal(files.get('/3')!.content.toString(), 'small');
  assert.ok(readFileSync(`${dir}/root.erofs`).length < 5_100_000);
});

test('gzip, zstd and plain layers give the same image, whatever compression the media type states', async (t) => {
  const dir = await makeTempDir(t);
  const archive = await packTar([
    { name: 'a', content: Buffer.alloc(700_000, 'abc\n') },
    { name: 'b', content: 'b' },
  ]);
  const halves = [archive.subarray(0, 400_000), archive.subarray(400_000)];
  const blobs = [
    writeBlob(dir, 'layer-plain', archive),
    writeBlob(dir, 'layer-gzip', gzipSync(archive)),
    writeBlob(dir, 'layer-gzip-members', Buffer.concat(halves.map((half) => gzipSync(half)))),
    writeBlob(dir, 'layer-zstd', zstd(archive)),
    writeBlob(dir, 'layer-zstd-19', zstd(archive, '-19')),
    writeBlob(dir, 'layer-zstd-frames', Buffer.concat(halves.map((half) => zstd(half)))),
  ];
  const images = [];
  for (const blob of blobs) images.push(readFileSync(await buildImage(dir, [blob])));
  for (const image of images) assert.equal(image.equals(images[0]!), true);
  assert.deepEqual(leftIn(dir), ['root.erofs']);
});

test('an image without layers is an empty root', async (t) => {
  assert.deepEqual([...(await mergeLayers(t)).keys()], ['/']);
});

test('the same layers give the same bytes', async (t) => {
  const dir = await makeTempDir(t);
  const layers = await writeLayers(dir, [[{ name: 'b', content: 'b' }, { name: 'a/c' }], [{ name: 'd' }]]);
  const first = readFileSync(await buildImage(dir, layers));
  assert.equal(first.equals(readFileSync(await buildImage(dir, layers))), true);
});

test('remains of an interrupted build are replaced', async (t) => {
  const dir = await makeTempDir(t);
  for (const left of ['root.erofs.tmp', 'root.erofs.tails.tmp'])
    writeFileSync(join(dir, left), Buffer.alloc(100_000, 1));
  const files = await buildAndRead(dir, await writeLayers(dir, [[{ name: 'a', content: 'a' }]]));
  assert.equal(files.get('/a')?.content.toString(), 'a');
  assert.deepEqual(leftIn(dir), ['root.erofs']);
});

test('an exceeded limit is named, and nothing is left', async (t) => {
  const dir = await makeTempDir(t);
  const layers = await writeLayers(dir, [[{ name: 'a' }, { name: 'b', type: 'link', linkname: 'a' }]]);
  const path = await buildImage(dir, layers);
  assert.equal(statSync(path).size, 8192);
  rmSync(path);
  await assert.rejects(buildImage(dir, layers, { ...LIMITS, maxEntries: 1 }), {
    code: 'ImageInvalid',
    message: 'layer 1: the layers have more than 1 entries',
    details: { limit: 'entries' },
  });
  assert.deepEqual(leftIn(dir), []);
});

test('a cancelled build leaves nothing', async (t) => {
  const dir = await makeTempDir(t);
  const layers = await writeLayers(dir, [[{ name: 'a', content: Buffer.alloc(4_000_000) }]]);
  const called = new AbortController();
  const building = buildRootImage(layers, join(dir, 'root.erofs'), LIMITS, called.signal);
  called.abort(new Error('called off'));
  await assert.rejects(building, { message: 'called off' });
  assert.deepEqual(leftIn(dir), []);
});
