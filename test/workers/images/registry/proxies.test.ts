import assert from 'node:assert/strict';
import test from 'node:test';
import { freePort } from '../../../helpers/fakes/ports.ts';
import { makeStore } from '../../../helpers/images/harness.ts';
import { makeImage } from '../../../helpers/images/images.ts';
import { startProxy } from '../../../helpers/servers/proxy.ts';
import { startRegistry } from '../../../helpers/servers/registry.ts';

const NONE = { http: null, https: null, exempt: '' };

test("plain HTTP goes through its proxy, with the proxy's credentials, to a host that only the proxy can resolve", async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const name = `registry.example:${registry.host.split(':')[1]}`;
  const proxy = await startProxy(t, 'me:p@ss');
  const { pull, blobs } = await makeStore(t);
  const settings = { insecure_registries: [name] };
  const proxies = { ...NONE, http: `http://me:p%40ss@${proxy.host}` };
  await pull(`${name}/app`, { ...settings, proxies });
  assert.ok(blobs().length > 0);
  assert.ok(proxy.requests.length > 1);
  assert.ok(
    proxy.requests.every((line) => line.startsWith(`GET http://${name}/v2/app/`)),
    proxy.requests.join(),
  );

  await assert.rejects(pull(`${name}/app`, { ...settings, proxies: { ...NONE, http: proxy.host } }), (error: Error) => {
    assert.match(error.message, /registry\.example:\d+ through the proxy 127\.0\.0\.1:\d+ cannot be reached: .*407/);
    return true;
  });
});

test('registries on this host are asked directly, even when the proxy is down', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull, blobs } = await makeStore(t);
  const proxy = `http://127.0.0.1:${await freePort()}`;
  await pull(`${registry.host}/app`, { proxies: { http: proxy, https: proxy, exempt: '' } });
  assert.ok(blobs().length > 0);
});

test('errors name an unreachable or malformed proxy without its password', async (t) => {
  const { pull } = await makeStore(t);
  const host = `127.0.0.1:${await freePort()}`;
  await assert.rejects(pull('registry.example/app', { proxies: { ...NONE, https: `http://me:secret@${host}` } }), {
    code: 'ImageUnavailable',
    message: `registry.example through the proxy ${host} cannot be reached: connection refused (ECONNREFUSED)`,
  });
  for (const https of ['socks9://me:secret@proxy', 'http://', 'a b']) {
    await assert.rejects(pull('registry.example/app', { proxies: { ...NONE, https } }), {
      code: 'Usage',
      message: 'HTTPS_PROXY in the environment is not a proxy address like http://proxy:3128',
    });
  }
});
