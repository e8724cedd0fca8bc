import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Images } from '../../src/images/image-jobs.ts';
import { ServiceImages } from '../../src/images/service-images.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageRequest } from '../../src/protocol/images.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { makeImage, makeTar } from '../helpers/images/images.ts';
import { startRegistry } from '../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const MIB = 2 ** 20;

async function makeImages(t: TestContext, maxImageBytes = 64 * MIB) {
  const registry = await startRegistry(t);
  const home = new HomePaths(await makeTempDir(t));
  const paths = home.images;
  const pool = new JobPool();
  defer(t, () => pool.close());
  const images = new ServiceImages(new Images(pool, home), paths);
  images.configure({ insecure_registries: [registry.host], max_image_size_bytes: maxImageBytes });
  const told: string[] = [];
  const fetch = (name: string, request: Partial<ImageRequest> = {}) =>
    images.fetch({
      name: `${registry.host}/${name}`,
      digest: null,
      signal: new AbortController().signal,
      onProgress: (text) => told.push(text),
      ...request,
    });
  const roots = () => (existsSync(paths.rootsDir) ? readdirSync(paths.rootsDir) : []);
  return { registry, images, paths, told, fetch, roots };
}

async function fileImage(content: string | Buffer, config = {}) {
  return makeImage({ layers: [await makeTar([['file', Buffer.from(content)]])], config });
}

test('services that want an image at once share one pull and one root, and each gets progress', async (t) => {
  const { registry, paths, fetch, roots } = await makeImages(t);
  const image = await fileImage('a', { Cmd: ['run'], Env: null, User: '' });
  registry.add('app', 'latest', image);
  registry.add('app', '1', image);
  const told: string[][] = [[], [], []];
  const all = await Promise.all(
    ['app', 'app:latest', 'app'].map((name, index) => fetch(name, { onProgress: (text) => told[index]!.push(text) })),
  );
  const defaults = { entrypoint: [], cmd: ['run'], env: [], workdir: null, user: null, stop_signal: null };
  for (const one of all) assert.deepEqual(one, { digest: image.digest, root: paths.root(image.digest), defaults });
  for (const one of told) assert.ok(one.includes('pulling 100 %') && one.at(-1) === 'preparing image', one.join());
  const asked = registry.requests.length;
  assert.equal(registry.requests.filter((line) => line.includes('/blobs/')).length, 2, registry.requests.join('\n'));
  // The same content under another name is pulled, but has a root already.
  assert.equal((await fetch('app:1')).root, paths.root(image.digest));
  assert.deepEqual(roots().sort(), [basename(paths.root(image.digest)), basename(paths.rootRecord(image.digest))]);
  // A name that is here is not asked for again, whatever the registry has by now.
  registry.add('app', 'latest', await fileImage('newer'));
  const before = registry.requests.length;
  assert.equal((await fetch('app')).digest, image.digest);
  assert.equal(registry.requests.length, before);
  assert.ok(asked < before);
});

test('a prepared image is found without its blobs: by name, by digest, or by the digest of the last run', async (t) => {
  const { registry, images, paths, fetch, told } = await makeImages(t);
  const image = await fileImage('a');
  registry.add('app', 'latest', image);
  await fetch('app');
  rmSync(paths.blobsDir, { recursive: true });
  registry.fault = (_request, response) => Boolean(response.writeHead(500).end());
  told.length = 0;
  for (const name of ['app', `app@${image.digest}`, `app:other@${image.digest}`]) {
    assert.equal((await fetch(name)).digest, image.digest, name);
  }
  assert.equal((await fetch('never-pulled', { digest: image.digest })).digest, image.digest);
  assert.equal((await images.recall(image.digest))!.digest, image.digest);
  assert.equal(await images.recall(`sha256:${'0'.repeat(64)}`), null);
  assert.deepEqual(told, []);
  writeFileSync(paths.rootRecord(image.digest), '{}');
  await assert.rejects(fetch('app'), { code: 'ImageInvalid', message: /image store is damaged: .* is missing/ });
});

test('a damaged root, or a damaged record of one, is built anew', async (t) => {
  const { registry, images, paths, fetch } = await makeImages(t);
  const image = await fileImage('a', { Cmd: ['run'] });
  registry.add('app', 'latest', image);
  const first = await fetch('app');
  const root = readFileSync(first.root);
  const record = readFileSync(paths.rootRecord(image.digest));
  const damages: [string, Buffer | string][] = [
    [first.root, root.subarray(0, -4096)],
    [first.root, root.subarray(0, 10)],
    [first.root, Buffer.alloc(root.length)],
    [paths.rootRecord(image.digest), '{'],
    [paths.rootRecord(image.digest), ''],
  ];
  for (const [path, content] of damages) {
    writeFileSync(path, content);
    assert.equal(await images.recall(image.digest), null);
    assert.deepEqual(await fetch('app'), first);
    assert.ok(readFileSync(first.root).equals(root) && readFileSync(paths.rootRecord(image.digest)).equals(record));
  }
});

test('cancelling the last waiter cancels the work, leaves nothing half-done, and the next request starts over', async (t) => {
  const { registry, paths, fetch, roots } = await makeImages(t);
  const image = await fileImage(Buffer.alloc(MIB, 'a'));
  registry.add('app', 'latest', image);
  const held = gate();
  const asked = gate();
  registry.fault = ({ url }, response, body) => {
    if (!url!.endsWith(image.layers[0]!)) return false;
    response.writeHead(200, { 'content-length': body.length });
    response.write(body.subarray(0, 100));
    asked.open();
    void held.opened.then(() => response.destroy());
    return true;
  };
  const [first, second] = [new AbortController(), new AbortController()];
  const one = fetch('app', { signal: first.signal });
  const two = fetch('app', { signal: second.signal });
  const refused = Promise.all([one, two].map((fetched) => assert.rejects(fetched, { code: 'Aborted' })));
  await asked.opened;
  first.abort();
  await assert.rejects(one, { code: 'Aborted' });
  second.abort();
  await refused;
  registry.fault = () => false;
  const fetched = await fetch('app');
  assert.equal(fetched.digest, image.digest);
  held.open();
  assert.equal(roots().length, 2);
  assert.deepEqual(readdirSync(paths.partialDir), []);
});

test('an unavailable image says why: unknown, too large to pull, too large unpacked, HTTPS only', async (t) => {
  const { registry, images, fetch, roots } = await makeImages(t, 100_000);
  registry.add('bomb', 'latest', await fileImage(Buffer.alloc(2 * MIB)));
  registry.add(
    'large',
    'latest',
    makeImage({ layers: [Buffer.from(Array.from({ length: 300_000 }, Math.random).join())] }),
  );
  await assert.rejects(fetch('none'), { code: 'ImageUnavailable' });
  await assert.rejects(fetch('large'), { code: 'ImageInvalid', message: /the limit is 97.7 KiB/ });
  await assert.rejects(fetch('bomb'), {
    code: 'ImageInvalid',
    message: 'layer 1: the image would take more than 100000 bytes',
  });
  assert.deepEqual(
    roots().filter((file) => !file.endsWith('.json')),
    [],
    'no part of a root is left',
  );
  images.configure({ ...DEFAULT_IMAGE_SETTINGS });
  const before = registry.requests.length;
  await assert.rejects(fetch('other'), { code: 'ImageUnavailable' });
  assert.equal(registry.requests.length, before, 'plain HTTP has to be allowed');
  assert.equal((await fetch('bomb')).digest.length, 71, 'what was pulled already needs no registry');
});
