import assert from 'node:assert/strict';
import { chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { findConfigFrom } from '../../src/config/find.ts';
import { loadConfig, loadProject } from '../../src/config/load.ts';
import { projectOf } from '../../src/config/project.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('a project has the name at the top of the config, else that of the folder as far as it fits', () => {
  assert.deepEqual(projectOf('shop', '/srv/x'), { name: 'shop', folder: '/srv/x' });
  for (const [folder, name] of [
    ['/srv/shop', 'shop'],
    ['/srv/My Shop_2', 'myshop_2'],
    ['/srv/.shop-', 'shop'],
    ['/srv/läden', 'lden'],
    ['/', 'default'],
    ['/srv/日本', 'default'],
    [`/srv/${'a'.repeat(80)}`, 'a'.repeat(63)],
  ] as const) {
    assert.equal(projectOf(undefined, folder).name, name, folder);
  }
});

test('a config that is reached through a link is that of the folder behind the link', async (t) => {
  const dir = await makeTempDir(t);
  const folder = join(dir, 'shop');
  await mkdir(folder);
  await symlink(folder, join(dir, 'link'));
  await writeFile(join(folder, 'monocore.toml'), '');
  for (const place of ['shop', 'link']) {
    assert.deepEqual((await loadConfig(join(dir, place, 'monocore.toml'))).project, { name: 'shop', folder });
  }
});

test('the project of a config is known even where its services are faulty', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'monocore.toml');
  await writeFile(path, 'name = "shop"\n[[service]]\nname = 1\n');
  assert.deepEqual(await loadProject(path), { name: 'shop', folder: dir });
  await writeFile(path, 'name = \n');
  await assert.rejects(loadProject(path), { code: 'ConfigInvalid' });
});

test('a config is found in the folder, else above it', async (t) => {
  const dir = await makeTempDir(t);
  const inner = join(dir, 'a', 'b');
  await mkdir(inner, { recursive: true });
  await writeFile(join(dir, 'monocore.yaml'), '');
  assert.equal(findConfigFrom(inner), join(dir, 'monocore.yaml'));
  // Root's files count for everybody.
  if (process.getuid?.() === 0) await chown(join(dir, 'monocore.yaml'), 65534, 65534);
  assert.equal(findConfigFrom(inner, 4242), null, 'another user put it there');
  assert.equal(findConfigFrom(dir, 4242), join(dir, 'monocore.yaml'), 'the folder itself was chosen');
  await symlink('/etc/passwd', join(dir, 'monocore.json'));
  if (process.getuid?.() === 0) await lchown(join(dir, 'monocore.json'), 65534, 65534);
  assert.equal(
    findConfigFrom(inner, 4242),
    null,
    'two of another user do not matter either, nor a link to a file of root',
  );
  await writeFile(join(inner, 'monocore.toml'), '');
  assert.equal(findConfigFrom(inner), join(inner, 'monocore.toml'));
});

test('a folder in which no file can be looked at has no config', async (t) => {
  const dir = await makeTempDir(t);
  const inner = join(dir, 'inner');
  await mkdir(inner);
  await writeFile(join(dir, 'monocore.toml'), '');
  // As unreadable for root as for any other user.
  await symlink('monocore.toml', join(inner, 'monocore.toml'));
  assert.equal(findConfigFrom(inner), join(dir, 'monocore.toml'));
});
