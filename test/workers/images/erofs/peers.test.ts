/**
 * Comparison with other programs on the same layers and images. GNU tar packs the trees that they show, which are read
 * back through an image of ours: so owners, modes, times, links, devices and extended attributes are all compared.
 * Needs root to unpack and mount.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { type ErofsFile, readErofs } from '../../../helpers/images/erofs-reader.ts';
import { type LayerEntry, writeBlob, writeLayers } from '../../../helpers/images/layers.ts';
import { writeOciLayout } from '../../../helpers/images/oci-layout.ts';
import { buildImage } from '../../../helpers/images/root-image.ts';
import { findTestProgram } from '../../../helpers/processes/test-program.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';

const mtime = new Date(1_600_000_000_000);
const directory = (name: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  name,
  type: 'directory',
  mtime,
  ...more,
});
const file = (name: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  name,
  mtime,
  content: more.type === undefined ? name : '',
  ...more,
});
const xattr = (name: string, value: string) => ({ pax: { [`SCHILY.xattr.${name}`]: value } });

/** `cap_net_raw+ep`: `vfs_cap_data` of linux/capability.h. */
const CAPABILITY = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

const LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    directory('./', { mode: 0o750 }),
    directory('bin/', { uid: 1, gid: 2 }),
    file('bin/su', { mode: 0o4755, content: Buffer.alloc(300_001, 'su') }),
    file('bin/ping', { mode: 0o755, ...xattr('security.capability', CAPABILITY) }),
    file('bin/sudo', { type: 'link', linkname: 'bin/su' }),
    file('sh', { type: 'symlink', linkname: '../../bin/sh', uid: 7 }),
    directory('dev', { mode: 0o2775 }),
    file('dev/null', { type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 }),
    file('dev/disk', { type: 'block-device', devmajor: 259, devminor: 70_000, mode: 0o660 }),
    file('dev/fifo', { type: 'fifo', gid: 1000 }),
    directory('gone'),
    file('gone/a'),
    directory('opaque', { mode: 0o711 }),
    file('opaque/old'),
    directory('many'),
    ...Array.from({ length: 700 }, (_, index) =>
      file(`many/${'n'.repeat(index % 150)}-${index}`, { content: Buffer.alloc(index * 7, 'm') }),
    ),
    file('becomes-directory'),
    directory('becomes-file'),
    file('becomes-file/x'),
    file('noted', { ...xattr('user.note', 'n'.repeat(3000)), content: Buffer.alloc(6000, 'n') }),
    file('precise', { pax: { mtime: '1234567890.123456789' } }),
    file('empty', { content: '' }),
  ],
  [
    file('.wh.gone'),
    directory('opaque', { mode: 0o700 }),
    file('opaque/.wh..wh..opq'),
    file('opaque/new', { uid: 99 }),
    directory('becomes-directory'),
    file('becomes-directory/y'),
    file('becomes-file', { mode: 0o600 }),
    file('bin/third', { type: 'link', linkname: 'bin/su' }),
    file('bin/ping', { mode: 0o700 }),
    directory('./', { mode: 0o755 }),
    directory('bin/', { uid: 1, gid: 3 }),
    directory('dev', { mode: 0o2775 }),
  ],
];

/** A file for comparison: with its first name instead of its inode number. */
interface DescribedFile extends Omit<ErofsFile, 'nid' | 'content'> {
  readonly name: string;
  readonly file: string;
  readonly content: string;
}

function describe(path: string): DescribedFile[] {
  const files = [...readErofs(readFileSync(path))].sort(([a], [b]) => (a < b ? -1 : 1));
  const firstNames = new Map<number, string>();
  return files.map(([name, { nid, content, ...rest }]) => {
    if (!firstNames.has(nid)) firstNames.set(nid, name);
    const isDirectory = rest.mode >> 12 === 4;
    return { name, file: firstNames.get(nid)!, ...rest, content: isDirectory ? '' : content.toString('latin1') };
  });
}

/** Describes the tree at `root`, read through an image of it. */
async function describeTree(t: TestContext, root: string): Promise<DescribedFile[]> {
  const dir = await makeTempDir(t);
  const archive = join(dir, 'tree.tar');
  execFileSync('tar', ['--format=posix', '--xattrs', '--xattrs-include=*', '-C', root, '-cf', archive, '.']);
  return describe(await buildImage(dir, [writeBlob(dir, 'layer', readFileSync(archive))]));
}

async function makeImage(t: TestContext): Promise<{ dir: string; layers: string[]; image: string }> {
  const dir = await makeTempDir(t);
  const layers = await writeLayers(dir, LAYERS);
  return { dir, layers, image: await buildImage(dir, layers) };
}

test('the kernel mounts the image and shows the built tree', async (t) => {
  const { dir, image } = await makeImage(t);
  const mountPoint = join(dir, 'mounted');
  mkdirSync(mountPoint);
  execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, mountPoint]);
  defer(t, () => execFileSync('umount', [mountPoint]));
  assert.deepEqual(await describeTree(t, mountPoint), describe(image));
});

test('fsck.erofs finds no fault and extracts the same tree', async (t) => {
  const { dir, image } = await makeImage(t);
  const extracted = join(dir, 'extracted');
  execFileSync(findTestProgram('fsck.erofs'), [`--extract=${extracted}`, image], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // It neither links nor writes attributes, and its chown after chmod takes setuid away.
  const plain = (files: DescribedFile[]) =>
    files.map(({ file: _file, links: _links, xattrs: _xattrs, mode, ...rest }) => ({ ...rest, mode: mode & ~0o4000 }));
  assert.deepEqual(plain(await describeTree(t, extracted)), plain(describe(image)));
});

test('umoci unpacks the layers to the same tree', async (t) => {
  const { dir, layers, image } = await makeImage(t);
  const layout = join(dir, 'oci');
  const unpacked = join(dir, 'unpacked');
  writeOciLayout(layout, layers);
  execFileSync(findTestProgram('umoci'), ['raw', 'unpack', '--image', `${layout}:latest`, unpacked], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.deepEqual(await describeTree(t, unpacked), describe(image));
});
