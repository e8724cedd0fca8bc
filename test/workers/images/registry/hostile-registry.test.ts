/** Registries that stall, redirect to nowhere, or describe programs that cannot be started. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { ImageEvent } from '../../../../src/protocol/images.ts';
import { makeStore } from '../../../helpers/images/harness.ts';
import { makeImage } from '../../../helpers/images/images.ts';
import { startRegistry } from '../../../helpers/servers/registry.ts';

test('an invalid layer ends the stalled download of another, which keeps its bytes', {
  timeout: 20_000,
}, async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(1000), randomBytes(1000)] });
  const [stalled, wrong] = image.layers;
  registry.add('app', 'latest', image);
  const { pull, store, partial } = await makeStore(t);
  let onBegun = (): void => {};
  const begun = new Promise<void>((resolve) => {
    onBegun = resolve;
  });
  let ended: Promise<unknown> | null = null;
  registry.fault = (request, response, body) => {
    if (request.url!.endsWith(stalled!)) {
      ended = once(response, 'close');
      response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 10));
      return true;
    }
    if (!request.url!.endsWith(wrong!)) return false;
    void begun.then(() => response.writeHead(200).end(Buffer.alloc(body.length)));
    return true;
  };
  const onEvent = (event: ImageEvent) => {
    if (event.type === 'bytes' && event.digest === stalled && event.done_bytes === 10) onBegun();
  };
  await assert.rejects(pull(`${registry.host}/app`, { onEvent }), {
    code: 'ImageInvalid',
    message: /sent other content/,
  });
  await ended;
  const [rest, ...others] = partial();
  assert.deepEqual(others, []);
  assert.deepEqual(readFileSync(`${store.paths.partialDir}/${rest}`), image.blobs.get(stalled!)!.subarray(0, 10));
});

test('a redirect to a malformed address is an error that says so', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull } = await makeStore(t);
  registry.fault = (_request, response) => {
    response.writeHead(307, { location: 'https://[nowhere' }).end();
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), {
    code: 'ImageUnavailable',
    message: `${registry.host} redirects to a malformed address`,
  });
});

test('a config with arguments too long to run is refused before any layer is requested', async (t) => {
  const registry = await startRegistry(t);
  const names = Array.from({ length: 50_000 }, (_, index) => `${index}`);
  const images = [{ Env: names }, { Cmd: ['x'.repeat(300_000)] }].map((config) => makeImage({ config }));
  const { pull } = await makeStore(t);
  for (const image of images) {
    registry.add('app', 'latest', image);
    await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageInvalid', message: /take more than 256 KiB/ });
  }
  assert.deepEqual(
    registry.requests.filter((request) => images.some(({ layers }) => request.endsWith(layers[0]!))),
    [],
  );
  // What is said of ports is for people only.
  const ExposedPorts = Object.fromEntries(names.map((name) => [`${name}/tcp`, {}]));
  registry.add('app', 'latest', makeImage({ config: { ExposedPorts } }));
  await pull(`${registry.host}/app`);
});

test('an image with unsupported layers is not pulled', async (t) => {
  const registry = await startRegistry(t);
  const { pull } = await makeStore(t);
  for (const mediaType of [
    'application/vnd.oci.image.layer.v1.tar.gzip',
    'application/vnd.docker.image.rootfs.diff.tar+gzip',
  ]) {
    const spoil = (manifest: { layers: object[] }) => ({
      ...manifest,
      layers: manifest.layers.map((layer) => ({ ...layer, mediaType })),
    });
    registry.add('app', 'latest', makeImage({ spoil }));
    await assert.rejects(pull(`${registry.host}/app`), { code: 'ImageInvalid', message: /is not a container image/ });
  }
});
