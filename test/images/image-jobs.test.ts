import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dockerConfigPath, hostPlatform, Images, proxySettings } from '../../src/images/image-jobs.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageEvent } from '../../src/protocol/images.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { makeImage } from '../helpers/images/images.ts';
import { TYPESCRIPT_OPTIONS } from '../helpers/processes/typescript.ts';
import { startRegistry, type TestRegistry } from '../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const LOCK_HOLDER = fileURLToPath(new URL('../fixtures/image-lock-holder.ts', import.meta.url));

async function makeImages(t: TestContext, home?: string) {
  const paths = new HomePaths(home ?? (await makeTempDir(t)));
  const pool = new JobPool();
  defer(t, () => pool.close());
  return { images: new Images(pool, paths), paths };
}

function request(registry: TestRegistry, ...repositories: string[]) {
  return {
    names: repositories.map((repository) => `${registry.host}/${repository}`),
    insecure_loopback: true,
    insecure_registries: [],
    docker_config: null,
    proxies: null,
    max_image_size_bytes: DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
  };
}

test('images are pulled, listed and removed off the main thread, and every event arrives before the result', async (t) => {
  const registry = await startRegistry(t);
  registry.add('one', 'latest', makeImage());
  registry.add('two', 'latest', makeImage({ layers: [Buffer.from('two')] }));
  const { images } = await makeImages(t);
  assert.deepEqual(await images.list(), []);
  const events: ImageEvent[] = [];
  const stored = await images.pull(request(registry, 'one', 'two'), { onEvent: (event) => events.push(event) });
  assert.deepEqual(
    events.filter((event) => event.type === 'stored').map(({ image }) => image),
    stored,
  );
  assert.equal((await images.list()).length, 2);
  await assert.rejects(images.remove({ names: ['none'] }), { code: 'ImageUnknown' });
  await images.remove({ names: stored.map(({ name }) => name) });
  assert.deepEqual(await images.list(), []);
});

test('concurrent pulls of two processes wait for each other and lose nothing', async (t) => {
  const registry = await startRegistry(t);
  const first = await makeImages(t);
  const second = await makeImages(t, first.paths.home);
  const repositories = Array.from({ length: 6 }, (_, index) => `app${index}`);
  for (const repository of repositories) {
    registry.add(repository, 'latest', makeImage({ layers: [Buffer.from(repository), Buffer.from('shared')] }));
  }
  await Promise.all(
    repositories.map((repository, index) => (index % 2 ? first : second).images.pull(request(registry, repository))),
  );
  assert.equal((await first.images.list()).length, repositories.length);
});

test('images can be listed during a pull, and a waiting pull is cancelled at once', async (t) => {
  const registry = await startRegistry(t);
  for (const repository of ['one', 'two']) registry.add(repository, 'latest', makeImage());
  const { images } = await makeImages(t);
  const asked = gate();
  const held = gate();
  registry.fault = (message, response) => {
    if (!message.url!.startsWith('/v2/one/manifests')) return false;
    asked.open();
    void held.opened.then(() => response.writeHead(404).end());
    return true;
  };
  const first = images.pull(request(registry, 'one'));
  await asked.opened;
  const cancel = new AbortController();
  const events: ImageEvent[] = [];
  const onEvent = (event: ImageEvent) => events.push(event);
  const second = images.pull(request(registry, 'two'), { signal: cancel.signal, onEvent });
  assert.deepEqual(await images.list(), []);
  assert.deepEqual(events, [{ type: 'waiting' }]);
  cancel.abort();
  await assert.rejects(second, { code: 'Aborted' });
  held.open();
  await assert.rejects(first, { code: 'ImageUnavailable' });
  assert.equal((await images.pull(request(registry, 'two'))).length, 1, 'whoever comes next has its turn');
});

test('a cancelled pull ends, releases its lock and leaves no incomplete blob', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [Buffer.from('a layer that never comes whole')] });
  registry.add('app', 'latest', image);
  const { images, paths } = await makeImages(t);
  const cancel = new AbortController();
  registry.fault = (message, response, body) => {
    if (!message.url!.endsWith(image.layers[0]!)) return false;
    response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 5), () => cancel.abort());
    return true;
  };
  await assert.rejects(images.pull(request(registry, 'app'), { signal: cancel.signal }), { code: 'Aborted' });
  assert.equal(existsSync(paths.images.blob(image.layers[0]!)), false);
  assert.deepEqual(await images.list(), []);
  await images.prune();
  assert.deepEqual(readdirSync(paths.images.partialDir), []);
  await assert.rejects(images.prune({ signal: AbortSignal.abort() }), { code: 'Aborted' });
});

test('a change that waits for another process reports it, can be cancelled, and runs when that process is killed', async (t) => {
  const { images, paths } = await makeImages(t);
  await images.prune();
  const holder = spawn(process.execPath, [...TYPESCRIPT_OPTIONS, LOCK_HOLDER, paths.images.dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  defer(t, () => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const cancel = new AbortController();
  const calledOff = images.prune({ signal: cancel.signal, onEvent: () => cancel.abort() });
  await assert.rejects(calledOff, { code: 'Aborted' });
  const events: ImageEvent[] = [];
  await images.prune({
    onEvent(event) {
      events.push(event);
      holder.kill('SIGKILL');
    },
  });
  assert.deepEqual(events, [{ type: 'waiting' }]);
});

test('a home that cannot be written is an error', async (t) => {
  const { images } = await makeImages(t, join('/proc', 'none'));
  await assert.rejects(images.prune(), { code: 'HomeUnusable' });
});

test('the host platform has the names that image indexes use', () => {
  assert.deepEqual(hostPlatform('x64'), { os: 'linux', architecture: 'amd64' });
  assert.deepEqual(hostPlatform('arm64'), { os: 'linux', architecture: 'arm64' });
});

test('the Docker config is found where Docker looks for it', () => {
  assert.equal(dockerConfigPath({ DOCKER_CONFIG: '/etc/docker-cli' }), '/etc/docker-cli/config.json');
  assert.equal(dockerConfigPath({}), join(homedir(), '.docker', 'config.json'));
});

test('proxies are read from the usual environment variables', () => {
  assert.deepEqual(proxySettings({}), { http: null, https: null, exempt: '' });
  const env = {
    HTTP_PROXY: 'http://a',
    http_proxy: 'http://b',
    HTTPS_PROXY: 'http://c',
    https_proxy: '',
    no_proxy: '*',
  };
  assert.deepEqual(proxySettings(env), { http: 'http://b', https: 'http://c', exempt: '*' });
});
