import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { listImages } from '../../../workers/images/store/list.ts';
import { findShared } from '../../helpers/disks/modes.ts';
import { mountSmallDisk } from '../../helpers/disks/small-disk.ts';
import { makeStore } from '../../helpers/images/harness.ts';
import { ARCHITECTURE, digestOf, makeImage, makeIndex } from '../../helpers/images/images.ts';
import { breakOffAfter, startRegistry } from '../../helpers/servers/registry.ts';

const OTHER = ARCHITECTURE === 'arm64' ? 'amd64' : 'arm64';

for (const family of ['oci', 'docker'] as const) {
  test(`a multi-platform image with ${family} media types is stored for this platform, blob for blob`, async (t) => {
    const registry = await startRegistry(t);
    const layers = [randomBytes(200_000), randomBytes(10)];
    const mine = makeImage({ family, layers });
    const other = makeImage({ family, architecture: OTHER, layers: [randomBytes(10)] });
    const index = makeIndex({ [`linux/${OTHER}`]: other, [`linux/${ARCHITECTURE}`]: mine }, family);
    registry.add('team/app', '1.0', index);
    const { store, blobs, partial, pull } = await makeStore(t);
    const name = `${registry.host}/team/app:1.0`;
    assert.deepEqual(await pull(name), { name, digest: mine.digest, unchanged: false });
    assert.deepEqual(blobs().sort(), [mine.digest, ...mine.blobs.keys()].sort());
    assert.deepEqual(partial(), []);
    for (const digest of blobs()) assert.equal(digestOf(readFileSync(store.paths.blob(digest))), digest);
    assert.deepEqual(findShared(store.paths.dir, true), []);
    const [listed, ...more] = await listImages(store);
    assert.deepEqual(more, []);
    assert.equal(listed?.platform, `linux/${ARCHITECTURE}`);
    assert.equal(listed?.layers, 2);
  });
}

test('a second pull fetches the manifest and no blob', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull } = await makeStore(t);
  await pull(`${registry.host}/app`);
  registry.requests.length = 0;
  assert.equal((await pull(`${registry.host}/app`)).unchanged, true);
  assert.deepEqual(registry.requests, ['GET app/manifests/latest']);
});

test('an image is pulled by its digest, and other content from the registry is refused', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage();
  registry.add('app', 'latest', image);
  const { pull, blobs } = await makeStore(t);
  const other = `sha256:${'0'.repeat(64)}`;
  registry.add('app', other, makeImage({ layers: [randomBytes(9)] }));
  await assert.rejects(pull(`${registry.host}/app@${other}`), { code: 'ImageInvalid', message: /sent other content/ });
  assert.deepEqual(blobs(), []);
  assert.equal((await pull(`${registry.host}/app@${image.digest}`)).digest, image.digest);
});

test('a layer that does not match its digest is an error, and no byte of it is kept', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(100_000)] });
  registry.add('app', 'latest', image);
  const { pull, blobs, partial, store } = await makeStore(t);
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    const lie = Buffer.from(body);
    lie[500]! ^= 1;
    response.writeHead(200, { 'content-length': lie.length }).end(lie);
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageInvalid', message: /sent other content/ });
  assert.deepEqual(blobs(), [image.config]);
  assert.deepEqual(partial(), []);
  assert.deepEqual(await listImages(store), []);
});

test('a layer longer than its size is cut off, and no byte of it is kept', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage();
  registry.add('app', 'latest', image);
  const { pull, partial } = await makeStore(t);
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    // Goes on for ever, should nobody stop it.
    response.writeHead(200).write(body);
    const more = setInterval(() => response.write(Buffer.alloc(1000)), 1);
    response.on('close', () => clearInterval(more));
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageInvalid', message: /more than its \d+ bytes/ });
  assert.deepEqual(partial(), []);
});

test('an interrupted download resumes where it stopped', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(300_000)] });
  registry.add('app', 'latest', image);
  const { pull, blobs, events } = await makeStore(t);
  const starts: number[] = [];
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    const start = Number(/=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
    starts.push(start);
    if (starts.length === 3) return false;
    breakOffAfter(100_000, response, body, start);
    return true;
  };
  await pull(`${registry.host}/app`);
  assert.equal(starts.length, 3);
  assert.ok(starts[1]! > 0 && starts[2]! > starts[1]!, `it went on at ${starts}`);
  assert.ok(blobs().includes(image.layers[0]!));
  assert.equal(events.filter(({ type }) => type === 'retry').length, 2);
});

test('the next pull resumes an interrupted one, and a partial download is never a blob', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(300_000)] });
  registry.add('app', 'latest', image);
  const { pull, blobs, partial } = await makeStore(t);
  const cancel = new AbortController();
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 150_000));
    return true;
  };
  const onEvent = (event: { type: string; digest?: string; done_bytes?: number }) => {
    if (event.type === 'bytes' && event.digest === image.layers[0] && event.done_bytes! > 0) {
      cancel.abort(new Error('called off'));
    }
  };
  await assert.rejects(pull(`${registry.host}/app`, { signal: cancel.signal, onEvent }), /called off/);
  assert.deepEqual(blobs(), [image.config]);
  assert.deepEqual(partial(), [image.layers[0]!.slice('sha256:'.length)]);
  registry.fault = () => false;
  registry.requests.length = 0;
  await pull(`${registry.host}/app`);
  assert.match(registry.requests.at(-1)!, /blobs\/sha256:\w+ bytes=\d+-$/);
  assert.deepEqual(partial(), []);
});

test('a full disk ends a pull without a retry and keeps the partial download', async (t) => {
  const registry = await startRegistry(t);
  const layer = randomBytes(3_000_000);
  const image = makeImage({ layers: [layer] });
  registry.add('app', 'latest', image);
  const { pull, blobs, partial, events } = await makeStore(t, await mountSmallDisk(t));
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ENOSPC' });
  assert.deepEqual(
    events.filter(({ type }) => type === 'retry'),
    [],
  );
  assert.ok(!blobs().includes(image.layers[0]!));
  assert.deepEqual(partial(), [image.layers[0]!.slice('sha256:'.length)]);
});

test('a damaged partial download is downloaded again from the start', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(5000)] });
  registry.add('app', 'latest', image);
  const { pull, store, blobs } = await makeStore(t);
  writeFileSync(store.paths.partial(image.layers[0]!), 'something else');
  await pull(`${registry.host}/app`);
  assert.ok(blobs().includes(image.layers[0]!));
});

test('a registry that cannot resume sends the whole blob', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(5000)] });
  registry.add('app', 'latest', image);
  const { pull, store, blobs } = await makeStore(t);
  writeFileSync(store.paths.partial(image.layers[0]!), image.blobs.get(image.layers[0]!)!.subarray(0, 100));
  registry.fault = (request, response, body) => {
    if (!request.headers.range) return false;
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return true;
  };
  await pull(`${registry.host}/app`);
  assert.ok(blobs().includes(image.layers[0]!));
});

test('a registry that keeps breaking off is retried only while the download advances', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(9 * 2 ** 20)] });
  registry.add('app', 'latest', image);
  const { pull, blobs } = await makeStore(t);
  let attempts = 0;
  let goesOn = false;
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    attempts += 1;
    const start = goesOn ? Number(/=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    breakOffAfter(2 ** 21, response, body, start);
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageUnavailable', message: /broke \(/ });
  assert.ok(attempts <= 6, `${attempts} attempts`);
  goesOn = true;
  await pull(`${registry.host}/app`);
  assert.ok(blobs().includes(image.layers[0]!));
});

test('a busy registry is asked again after its Retry-After', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull, events } = await makeStore(t);
  const times: number[] = [];
  registry.fault = (_request, response) => {
    times.push(performance.now());
    if (times.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
    else if (times.length === 2) response.writeHead(503).end();
    else return false;
    return true;
  };
  await pull(`${registry.host}/app`);
  assert.ok(times[1]! - times[0]! >= 990, `it came back after ${times[1]! - times[0]!} ms`);
  assert.deepEqual(
    events.filter((event) => event.type === 'retry').map(({ reason }) => reason.replace(/^\S+ /, '')),
    ['answered with status 429', 'answered with status 503'],
  );
});

test('a pull gives up on a registry that stays busy or asks for a wait of hours', async (t) => {
  const registry = await startRegistry(t);
  const { pull } = await makeStore(t);
  registry.fault = (_request, response) => Boolean(response.writeHead(500).end());
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageUnavailable', message: /status 500/ });
  assert.equal(registry.requests.length, 4);
  registry.fault = (_request, response) => Boolean(response.writeHead(429, { 'retry-after': '7200' }).end());
  await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageUnavailable', message: /status 429/ });
  assert.equal(registry.requests.length, 5);
});

test('a missing image, one for other platforms and one that is too large are told apart', async (t) => {
  const registry = await startRegistry(t);
  registry.add('other', 'latest', makeImage({ architecture: OTHER }));
  registry.add('list', 'latest', makeIndex({ [`linux/${OTHER}`]: makeImage({ architecture: OTHER }) }));
  registry.add('large', 'latest', makeImage({ layers: [randomBytes(5000)] }));
  const { pull, blobs, store } = await makeStore(t);
  await assert.rejects(pull(`${registry.host}/none`), { code: 'ImageUnavailable', message: /there is no/ });
  await assert.rejects(pull(`${registry.host}/other`), {
    code: 'ImageInvalid',
    message: new RegExp(`for linux/${OTHER}`),
  });
  await assert.rejects(pull(`${registry.host}/list`), { code: 'ImageInvalid', message: new RegExp(`linux/${OTHER}$`) });
  await assert.rejects(pull(`${registry.host}/large`, { max_image_size_bytes: 4000 }), {
    code: 'ImageInvalid',
    message: /limit/,
  });
  assert.ok(blobs().length <= 1, 'no layer was fetched');
  assert.deepEqual(await listImages(store), []);
});

test('manifests that are too large, malformed or hostile are refused', async (t) => {
  const registry = await startRegistry(t);
  const { pull, blobs } = await makeStore(t);
  const encrypted = 'application/vnd.oci.image.layer.v1.tar+encrypted';
  const spoils: Record<string, (manifest: { config: { size: number; digest: string }; layers: object[] }) => object> = {
    'digest that is a path': (m) => ({ ...m, config: { ...m.config, digest: '../../../etc/passwd' } }),
    'negative size': (m) => ({ ...m, config: { ...m.config, size: -1 } }),
    'config above its limit': (m) => ({ ...m, config: { ...m.config, size: 17 * 2 ** 20 } }),
    'layers of another kind': (m) => ({ ...m, layers: [{ ...m.config, mediaType: 'application/x-chart' }] }),
    'encrypted layers': (m) => ({ ...m, layers: [{ ...m.config, mediaType: encrypted }] }),
    'layers that the config does not know': (m) => ({ ...m, layers: [...m.layers, ...m.layers] }),
    'no layers at all': (m) => ({ ...m, layers: null }),
    'more than 4 MiB': (m) => ({ ...m, padding: 'x'.repeat(4 * 2 ** 20) }),
    'too many layers': (m) => ({ ...m, layers: Array.from({ length: 1001 }, () => m.layers[0]) }),
  };
  for (const [what, spoil] of Object.entries(spoils)) {
    registry.add('bad', 'latest', makeImage({ spoil: spoil as never }));
    await assert.rejects(pull(`${registry.host}/bad`), { code: 'ImageInvalid' }, what);
  }
  assert.ok(blobs().length <= 1);
});
