import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'node:test';
import { buildRoot } from '../../../../workers/images/rootfs/build.ts';
import { listImages } from '../../../../workers/images/store/list.ts';
import { pruneImages, removeImages } from '../../../../workers/images/store/removal.ts';
import { makeStore } from '../../../helpers/images/harness.ts';
import { makeImage, makeTar, type TestImage } from '../../../helpers/images/images.ts';
import { startRegistry } from '../../../helpers/servers/registry.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

/** Writes the part of a state file that names an image. */
function writeUse(stateDir: string, name: string, image: string | null, image_digest: string | null): void {
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, `${name}.json`), JSON.stringify({ service: { name, image }, image_digest }));
}

const shared = Buffer.from('a layer of both');

async function makeTwo(t: Parameters<typeof makeStore>[0]) {
  const registry = await startRegistry(t);
  const one = makeImage({ layers: [shared, Buffer.from('of one')] });
  const two = makeImage({ layers: [shared, Buffer.from('of two')] });
  registry.add('one', 'latest', one);
  registry.add('two', 'latest', two);
  const to = await makeStore(t);
  const names = { one: `${registry.host}/one:latest`, two: `${registry.host}/two:latest` };
  await to.pull(names.one);
  await to.pull(names.two);
  const stateDir = join(await makeTempDir(t), 'run');
  const job = { imagesDir: to.dir, stateDirs: [stateDir, `${stateDir}-not-there`] };
  return {
    use: (service: string, image: string | null, digest: string | null) => writeUse(stateDir, service, image, digest),
    stateDir,
    registry,
    one,
    two,
    names,
    to,
    job,
    left: async () => (await listImages(to.store)).map(({ name }) => name),
  };
}

test('removing an image removes its blobs, except those that another image has', async (t) => {
  const { one, two, names, to, job, left } = await makeTwo(t);
  const { removed, freed_bytes } = await removeImages({ ...job, names: [names.one] }, to.store);
  assert.deepEqual(removed, [names.one]);
  const sizeOf = (digest: string) => (one.blobs.get(digest) ?? one.manifests.get(digest)!.bytes).length;
  assert.equal(
    freed_bytes,
    [one.digest, one.config, one.layers[1]!].reduce((sum, digest) => sum + sizeOf(digest), 0),
  );
  assert.deepEqual(to.blobs().sort(), [two.digest, ...two.blobs.keys()].sort());
  assert.deepEqual(await left(), [names.two]);
  await removeImages({ ...job, names: [two.digest.slice(7, 19)] }, to.store);
  assert.deepEqual(to.blobs(), []);
});

test('an image in use and an unknown image are errors, and nothing is removed', async (t) => {
  const { one, names, to, job, left, use, stateDir } = await makeTwo(t);
  const before = to.blobs();
  use('web', names.one, one.digest);
  use('api', 'of-another-name', one.digest);
  use('plain', null, null);
  await assert.rejects(removeImages({ ...job, names: [names.two, names.one] }, to.store), {
    code: 'ImageInUse',
    message: `${names.one} is used by api, web`,
    details: { hint: 'monocore remove api web frees it' },
  });
  // One that was never started is going to use what its name stands for.
  use('web', names.one, null);
  rmSync(join(stateDir, 'api.json'));
  await assert.rejects(removeImages({ ...job, names: [names.one] }, to.store), { message: /is used by web$/ });
  // A state file of an earlier version.
  writeFileSync(join(stateDir, 'web.json'), JSON.stringify({ service: { name: 'web', base: names.one } }));
  await assert.rejects(removeImages({ ...job, names: [names.one] }, to.store), { message: /is used by web$/ });
  writeFileSync(join(stateDir, 'web.json'), '{');
  await assert.rejects(removeImages({ ...job, names: [names.one] }, to.store), {
    message: /web\.json .*cannot be read/,
  });
  await assert.rejects(pruneImages(job, to.store), { message: /nothing was removed/ });
  rmSync(stateDir, { recursive: true });
  await assert.rejects(removeImages({ ...job, names: [names.one, 'other'] }, to.store), { code: 'ImageUnknown' });
  await assert.rejects(removeImages({ ...job, names: [`sha256:${'0'.repeat(64)}`] }, to.store), {
    code: 'ImageUnknown',
  });
  assert.deepEqual(to.blobs(), before);
  assert.deepEqual(await left(), [names.one, names.two]);
});

test('an image whose name moved to a newer one stays until a prune, or while it is in use', async (t) => {
  const { registry, one, names, to, job, left, use, stateDir } = await makeTwo(t);
  const newer = makeImage({ layers: [Buffer.from('newer')] });
  registry.add('one', 'latest', newer);
  await to.pull(names.one);
  assert.deepEqual(await left(), [names.one, names.two, null]);
  use('web', names.one, one.digest);
  await pruneImages(job, to.store);
  rmSync(stateDir, { recursive: true });
  assert.ok(to.blobs().includes(one.layers[1]!));
  assert.deepEqual((await pruneImages(job, to.store)).removed, [one.digest]);
  assert.ok(!to.blobs().includes(one.layers[1]!));
  assert.ok(to.blobs().includes(one.layers[0]!), 'the layer that another image has stays');
});

test('a prune removes unreferenced blobs and partial downloads', async (t) => {
  const { to, job } = await makeTwo(t);
  const before = to.blobs();
  writeFileSync(join(to.store.paths.blobsDir, '0'.repeat(64)), 'of no image');
  writeFileSync(join(to.store.paths.partialDir, '1'.repeat(64)), 'half');
  assert.deepEqual(await pruneImages(job, to.store), { removed: [], freed_bytes: 15 });
  assert.deepEqual(to.blobs(), before);
  assert.deepEqual(to.partial(), []);
});

test('a store with a damaged manifest is not pruned, and the damaged image can be removed', async (t) => {
  const { one, names, to, job, left } = await makeTwo(t);
  rmSync(to.store.paths.blob(one.digest));
  await assert.rejects(pruneImages(job, to.store), { code: 'ImageInvalid', message: /damaged/ });
  await removeImages({ ...job, names: [names.one] }, to.store);
  await pruneImages(job, to.store);
  assert.deepEqual(await left(), [names.two]);
});

test('a manifest without a media type is stored, kept by a prune and removed like any other', async (t) => {
  const { registry, to, job, names, left } = await makeTwo(t);
  const image = makeImage({ layers: [Buffer.from('typeless')], spoil: ({ mediaType: _, ...rest }) => rest });
  registry.add('one', 'latest', image);
  await to.pull(names.one);
  await pruneImages(job, to.store);
  assert.ok(to.blobs().includes(image.layers[0]!));
  assert.deepEqual(await left(), [names.one, names.two]);
  await removeImages({ ...job, names: [names.one] }, to.store);
  assert.ok(!to.blobs().includes(image.layers[0]!));
});

test('roots are removed with their images, and unused roots by a prune', async (t) => {
  const layers = await Promise.all(['one', 'two'].map((text) => makeTar([['file', Buffer.from(text)]])));
  const registry = await startRegistry(t);
  const to = await makeStore(t);
  const { paths } = to.store;
  const [one, two] = layers.map((layer) => makeImage({ layers: [layer] })) as [TestImage, TestImage];
  const names = [`${registry.host}/one:latest`, `${registry.host}/two:latest`] as const;
  const stateDir = join(await makeTempDir(t), 'ended');
  const job = { imagesDir: to.dir, stateDirs: [stateDir] };
  for (const [index, image] of [one, two].entries()) {
    registry.add(['one', 'two'][index]!, 'latest', image);
    await to.pull(names[index]!);
    await buildRoot({ digest: image.digest, max_image_size_bytes: 2 ** 20 }, to.store, new AbortController().signal);
  }
  const [first] = await listImages(to.store);
  assert.ok(first!.root_bytes! > 0);
  writeUse(stateDir, 'web', names[0], one.digest);
  writeFileSync(`${paths.root(two.digest)}.tmp`, 'cut off');
  const { removed, freed_bytes } = await pruneImages(job, to.store);
  assert.deepEqual(removed, []);
  assert.ok(freed_bytes > 0);
  assert.deepEqual(readdirSync(paths.rootsDir).sort(), [
    basename(paths.root(one.digest)),
    basename(paths.rootRecord(one.digest)),
  ]);
  assert.ok(to.blobs().includes(two.layers[0]!), 'the image itself stays: it has its name');
  rmSync(stateDir, { recursive: true });
  await removeImages({ ...job, names: [names[0]] }, to.store);
  assert.equal(existsSync(paths.root(one.digest)), false);
  assert.deepEqual(readdirSync(paths.rootsDir), []);
});
