import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { InitramfsImage } from '../../../../src/protocol/jobs.ts';
import { findStaticBusybox } from '../../../../src/vm/host/host-tools.ts';
import { buildInitramfs } from '../../../../workers/jobs/guest-image/initramfs.ts';
import { makeTempDir } from '../../../helpers/temp.ts';
import { moduleContent, writeModules } from '../../../helpers/vm/kernel-modules.ts';

const MODULES = {
  'drivers/virtio/virtio.ko': '',
  'drivers/virtio/virtio_mmio.ko.xz': 'virtio',
  'drivers/char/virtio_console.ko': 'virtio',
  'drivers/net/virtio_net.ko': 'virtio',
  'drivers/block/virtio_blk.ko': 'virtio',
  'drivers/misc/pvpanic/pvpanic.ko': '',
  'drivers/misc/pvpanic/pvpanic-mmio.ko': 'pvpanic',
  'fs/erofs/erofs.ko': '',
  'fs/overlayfs/overlay.ko': '',
  'fs/unrelated.ko': '',
};

async function makeBuild(t: TestContext) {
  const dir = await makeTempDir(t);
  const modulesDir = join(dir, 'modules');
  writeModules(modulesDir, MODULES);
  const cacheDir = join(dir, 'cache');
  const build = (busyboxPath = findStaticBusybox()) =>
    buildInitramfs({ type: 'build-initramfs', busyboxPath, modulesDir, cacheDir });
  return { dir, modulesDir, cacheDir, build };
}

function unpack(dir: string, { path }: InitramfsImage): string {
  const root = join(dir, 'root');
  mkdirSync(root);
  execFileSync('busybox', ['cpio', '-idm', '--quiet'], { cwd: root, input: readFileSync(path) });
  return root;
}

test('the guest gets our agent, every applet of busybox and the modules in load order', async (t) => {
  const { dir, build } = await makeBuild(t);
  const image = build();
  const root = unpack(dir, image);
  const agent = `../../../../src/vm/guest/agent/${process.arch}/monocore-agent`;
  assert.ok(readFileSync(join(root, 'init')).equals(readFileSync(new URL(agent, import.meta.url))));
  assert.equal(statSync(join(root, 'init')).mode & 0o777, 0o755);

  const applets = execFileSync(findStaticBusybox(), ['--list'], { encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual(readdirSync(join(root, 'bin')).sort(), [...new Set([...applets, 'busybox'])].sort());
  assert.equal(readlinkSync(join(root, 'bin/sh')), 'busybox');
  assert.match(execFileSync(join(root, 'usr/sbin/echo'), ['through links'], { encoding: 'utf8' }), /through links/);

  const list = (purpose: string) => readFileSync(join(root, `lib/modules/${purpose}.list`), 'utf8');
  assert.equal(list('boot'), 'virtio virtio_mmio virtio_console pvpanic pvpanic_mmio\n');
  assert.equal(list('network'), 'virtio virtio_net\n');
  assert.equal(list('root'), 'overlay\n');
  assert.equal(list('disk'), 'virtio virtio_blk\n');
  assert.equal(list('image'), 'virtio virtio_blk erofs\n');
  const names = ['virtio', 'virtio_mmio', 'virtio_console', 'pvpanic', 'pvpanic_mmio', 'virtio_net', 'overlay'];
  assert.deepEqual(image.modules, [...names, 'virtio_blk', 'erofs']);
  const unpacked = readFileSync(join(root, 'lib/modules/virtio_mmio.ko'));
  assert.ok(unpacked.equals(moduleContent('virtio_mmio', 'virtio')), 'the agent loads no compressed module');
});

test('the image is named by its content, and built once', async (t) => {
  const { cacheDir, build } = await makeBuild(t);
  const { path } = build();
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  assert.equal(path, join(cacheDir, `${digest}.cpio`));
  const { ino, mtimeMs } = statSync(path);
  assert.equal(build().path, path);
  assert.deepEqual([statSync(path).ino, statSync(path).mtimeMs], [ino, mtimeMs]);
  assert.deepEqual(readdirSync(cacheDir), [`${digest}.cpio`], 'nothing temporary stays');
});

test('a cached image that is not what its name says is made anew', async (t) => {
  const { build } = await makeBuild(t);
  const { path } = build();
  const archive = readFileSync(path);
  for (const damaged of [archive.subarray(0, 1000), Buffer.alloc(archive.length), Buffer.alloc(0)]) {
    writeFileSync(path, damaged);
    assert.equal(build().path, path);
    assert.ok(readFileSync(path).equals(archive));
  }
});

test('the user of a QEMU may read the image, in a folder that others cannot enter', async (t) => {
  const { cacheDir, build } = await makeBuild(t);
  const { path } = build();
  assert.deepEqual([statSync(path).mode & 0o777, statSync(cacheDir).mode & 0o077], [0o644, 0]);
  chmodSync(path, 0o600);
  build();
  assert.equal(statSync(path).mode & 0o777, 0o644);
});

test('whatever goes into the image changes its name', async (t) => {
  const { dir, modulesDir, build } = await makeBuild(t);
  const first = build().path;
  writeModules(modulesDir, { 'drivers/virtio/virtio.ko': 'built_in' });
  const second = build().path;
  const other = join(dir, 'busybox');
  writeFileSync(other, '#!/bin/sh\necho sh\n', { mode: 0o755 });
  const third = build(other).path;
  assert.equal(new Set([first, second, third]).size, 3);
});

test('a kernel with everything built in needs no modules', async (t) => {
  const { dir, cacheDir } = await makeBuild(t);
  const job = { type: 'build-initramfs', busyboxPath: findStaticBusybox(), modulesDir: null, cacheDir } as const;
  const image = buildInitramfs(job);
  assert.deepEqual(image.modules, []);
  assert.equal(readFileSync(join(unpack(dir, image), 'lib/modules/boot.list'), 'utf8'), '\n');
});
