import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { KernelModules } from '../../../../workers/jobs/guest-image/kernel-modules.ts';
import { makeTempDir } from '../../../helpers/temp.ts';
import { moduleContent, writeModules } from '../../../helpers/vm/kernel-modules.ts';

async function makeModules(t: TestContext, modules: Readonly<Record<string, string>>) {
  const dir = await makeTempDir(t);
  writeModules(dir, modules);
  return { dir, modules: new KernelModules(dir) };
}

const namesOf = (modules: KernelModules, ...names: string[]) => modules.resolve(names).map(({ name }) => name);

test('each module comes after what it depends on, and once', async (t) => {
  const { modules } = await makeModules(t, {
    'drivers/net/virtio_net.ko': 'net_failover,virtio,virtio_ring',
    'drivers/net/net_failover.ko': 'failover',
    'net/core/failover.ko': '',
    'drivers/virtio/virtio.ko': '',
    'drivers/virtio/virtio_ring.ko': 'virtio',
    'drivers/virtio/virtio_mmio.ko': 'virtio,virtio_ring',
    'fs/unrelated.ko': '',
  });
  assert.deepEqual(namesOf(modules, 'virtio_mmio', 'virtio_net'), [
    'virtio',
    'virtio_ring',
    'virtio_mmio',
    'failover',
    'net_failover',
    'virtio_net',
  ]);
});

test('hyphens and underscores are the same in names', async (t) => {
  const { modules } = await makeModules(t, { 'a-b.ko': 'c-d', 'c_d.ko': '' });
  assert.deepEqual(namesOf(modules, 'a_b'), ['c_d', 'a_b']);
});

test('modules are unpacked, however they are compressed', async (t) => {
  const { modules } = await makeModules(t, { 'a.ko.gz': 'b', 'b.ko.xz': 'c', 'c.ko.zst': 'd', 'd.ko': '' });
  const resolved = modules.resolve(['a']);
  assert.deepEqual(
    resolved.map(({ name }) => name),
    ['d', 'c', 'b', 'a'],
  );
  for (const { name, content } of resolved) {
    assert.ok(content.equals(moduleContent(name, { a: 'b', b: 'c', c: 'd', d: '' }[name]!)), name);
  }
});

test('what has no file is built in, and left out', async (t) => {
  const { modules } = await makeModules(t, { 'a.ko': 'built_in' });
  assert.deepEqual(namesOf(modules, 'a', 'other'), ['a']);
  assert.deepEqual(new KernelModules(null).resolve(['a']), []);
});

test('a module without a modinfo section depends on nothing', async (t) => {
  const { dir, modules } = await makeModules(t, { 'a.ko': 'b', 'b.ko': '' });
  writeFileSync(join(dir, 'kernel/a.ko'), 'depends=b');
  assert.deepEqual(namesOf(modules, 'a'), ['a']);
});

test('a module that cannot be unpacked is named, with what to install', async (t) => {
  const { dir, modules } = await makeModules(t, { 'a.ko.xz': '' });
  writeFileSync(join(dir, 'kernel/a.ko.xz'), 'not xz');
  assert.throws(() => modules.resolve(['a']), {
    code: 'ToolMissing',
    message: `${join(dir, 'kernel/a.ko.xz')} cannot be decompressed; install xz`,
  });
});
