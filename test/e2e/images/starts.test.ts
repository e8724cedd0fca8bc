/** Starts from a config whose images are slow to come, or do not come at all. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { HomePaths } from '../../../src/state/paths.ts';
import { eventually } from '../../helpers/eventually.ts';
import { freePort } from '../../helpers/fakes/ports.ts';
import { builtBin, type Home, makeTestHome } from '../../helpers/home.ts';
import { digestOf, makeImage } from '../../helpers/images/images.ts';
import { packTar } from '../../helpers/images/layers.ts';
import { busyboxEntries, makeBusyboxImage } from '../../helpers/images/program-image.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';

/** Incompressible bytes, whose transfer takes long. */
const PADDING = randomBytes(1_000_000);

function writeConfig(home: Home, registries: readonly string[], tables: readonly string[]): string {
  const file = join(home.dir, 'monocore.toml');
  const images = `[images]\ninsecure_registries = ${JSON.stringify(registries)}\n`;
  writeFileSync(file, [images, ...tables.map((table) => `[[service]]\n${table}\n`)].join(''));
  return file;
}

test('Ctrl-C during a pull leaves nothing half-done: a start goes on, and a stop calls it off', async (t) => {
  const config = { Entrypoint: ['/bin/sleep', '1000'], Env: ['PATH=/bin'] };
  const image = await makeBusyboxImage(['sleep'], config, [{ name: 'padding', content: PADDING }]);
  const registry = await startRegistry(t);
  registry.add('app', '1', image);
  // The large layer stands still behind its first half, each time that it is asked for, until it is let go.
  const [, large] = image.layers;
  let held: (() => void)[] = [];
  let isSlow = true;
  registry.fault = (request, response, body) => {
    if (!isSlow || !request.url!.endsWith(`/blobs/${large}`)) return false;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const length = body.length - start;
    const range = start === 0 ? {} : { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` };
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': length, ...range });
    const middle = Math.max(start, body.length / 2);
    response.write(body.subarray(start, middle));
    held.push(() => response.end(body.subarray(middle)));
    return true;
  };
  const home = await makeTestHome(t);
  const store = new HomePaths(home.dir).images;
  const name = `${registry.host}/app:1`;
  const file = writeConfig(home, [registry.host], [`name = "app"\nimage = "${name}"`]);
  const interrupt = async (): Promise<{ code: number | null; stderr: string }> => {
    const child = spawn(process.execPath, [builtBin, 'start', '-f', file], {
      env: { ...process.env, MONOCORE_HOME: home.dir },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said = text(child.stderr);
    const closed = once(child, 'close');
    await eventually('half of the layer', () => held.length > 0);
    child.kill('SIGINT');
    const [code] = await closed;
    return { code, stderr: await said };
  };

  const first = await interrupt();
  assert.equal(first.code, 130);
  assert.match(first.stderr, /interrupted: services keep starting; to stop them: monocore stop/);
  assert.equal((await home.status('app')).status, 'Starting');

  await home.ok('stop', 'app');
  assert.equal((await home.status('app')).status, 'Stopped');
  assert.equal(existsSync(store.root(image.digest)), false);
  const { images } = JSON.parse(await home.ok('images', '--json')) as { images: unknown[] };
  assert.deepEqual(images, [], 'what is not there as a whole is not there');
  assert.equal(readdirSync(store.partialDir).length, 1, 'the half that came is kept');

  held = [];
  await interrupt();
  // The one who was interrupted took nothing with it: the next start waits for the same pull.
  const before = registry.requests.length;
  const second = home.run(['start', '-f', file]);
  isSlow = false;
  for (const letGo of held) letGo();
  const { code, stderr } = await second;
  assert.equal(code, 0, stderr);
  const { status } = await home.status('app');
  assert.equal(status, 'Started');
  assert.equal(registry.requests.length, before, 'nothing was asked for again');
  const asked = registry.requests.filter((line) => line.includes(`/blobs/${large}`));
  assert.equal(asked.length, 2);
  assert.match(asked[1]!, /bytes=\d+-$/, 'the second pull went on from what was there');
  assert.deepEqual(readdirSync(store.partialDir), []);
});

test('images that cannot be had fail their services alone, with a line each', async (t) => {
  const good = await makeBusyboxImage(['sleep'], { Entrypoint: ['/bin/sleep', '1000'], Env: ['PATH=/bin'] });
  const spoilt = makeImage({ layers: [await packTar(busyboxEntries(['sh']).slice(0, 3))], config: { Cmd: ['sh'] } });
  const registry = await startRegistry(t);
  registry.add('good', '1', good);
  registry.add('spoilt', '1', spoilt);
  const [layer] = spoilt.layers;
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(`/blobs/${layer}`)) return false;
    response.writeHead(200, { 'content-length': body.length }).end(Buffer.alloc(body.length));
    return true;
  };
  const down = `127.0.0.1:${await freePort()}`;
  const nowhere = digestOf(Buffer.from('of nothing'));
  const home = await makeTestHome(t);
  const bases = {
    good: `${registry.host}/good:1`,
    absent: `${registry.host}/absent:1`,
    unknown: `${registry.host}/good@${nowhere}`,
    down: `${down}/app:1`,
    spoilt: `${registry.host}/spoilt:1`,
  };
  const tables = Object.entries(bases).map(([name, base]) => `name = "${name}"\nimage = "${base}"`);
  tables.push('name = "plain"\nisolation = "none"\ncommand = "/bin/sleep"\nargs = ["1000"]');
  const { code, stderr } = await home.run(['start', '-f', writeConfig(home, [registry.host, down], tables)]);
  assert.equal(code, 1);
  const lines = stderr.trimEnd().split('\n').sort();
  const failure = (name: string) => `monocore: ${name} could not be started: `;
  assert.equal(lines.length, 4, stderr);
  assert.equal(lines[0], `${failure('absent')}there is no ${registry.host}/absent 1`);
  assert.ok(lines[1]!.startsWith(`${failure('down')}${down} cannot be reached: `), lines[1]);
  const blob = `${registry.host}/spoilt ${layer}`;
  assert.ok(lines[2]!.startsWith(`${failure('spoilt')}${blob}: the registry sent other content: sha256:`), lines[2]);
  assert.equal(lines[3], `${failure('unknown')}there is no ${registry.host}/good ${nowhere}`);
  for (const name of ['good', 'plain']) assert.equal((await home.status(name)).status, 'Started');
  for (const name of ['absent', 'down', 'spoilt', 'unknown']) {
    assert.equal((await home.status(name)).status, 'Failed');
  }
  const { images } = JSON.parse(await home.ok('images', '--json')) as { images: { name: string }[] };
  assert.deepEqual(
    images.map(({ name }) => name),
    [bases.good],
  );
  assert.deepEqual(readdirSync(new HomePaths(home.dir).images.partialDir), []);
});
