/** Registries that stall, lie about where to go, or describe programs that nothing could start. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { ImageEvent } from '../../../../src/protocol/images.ts';
import { makeImage } from '../../../helpers/images.ts';
import { startRegistry } from '../../../helpers/registry.ts';
import { makeStore } from './harness.ts';

test('a layer that is wrong ends the download of one that stalls, of which stays what came', {
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
    if (event.type === 'bytes' && event.digest === stalled && event.doneBytes === 10) onBegun();
  };
  await assert.rejects(pull(`${registry.host}/app`, { onEvent }), { code: 'ImageInvalid', message: /another blob/ });
  await ended;
  const [rest, ...others] = partial();
  assert.deepEqual(others, []);
  assert.deepEqual(readFileSync(`${store.paths.partialDir}/${rest}`), image.blobs.get(stalled!)!.subarray(0, 10));
});

test('a redirect to what is no address is an error that says so', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull } = await makeStore(t);
  registry.fault = (_request, response) => {
    response.writeHead(307, { location: 'https://[nowhere' }).end();
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), {
    code: 'ImageUnavailable',
    message: `${registry.host} redirects to what is no address`,
  });
});
