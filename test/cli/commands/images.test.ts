/** The commands on images as people run them: each a process of its own, no daemon. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { ImageSummary } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { layoutFiles, makeImage, makeTar } from '../../helpers/images/images.ts';
import { runCli, spawnCli, waitForCli } from '../../helpers/processes/run-cli.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

test('an image is pulled, listed, loaded and removed, in plain lines where there is no terminal', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage();
  registry.add('app', 'latest', image);
  const home = await makeTempDir(t);
  const env = { MONOCORE_HOME: home, DOCKER_CONFIG: home };
  const name = `${registry.host}/app:latest`;

  const refused = await runCli(['pull', name], { env });
  assert.equal(refused.exitCode, 1);
  assert.equal(registry.requests.length, 0, 'plain HTTP has to be asked for');

  const pulled = await runCli(['pull', '--insecure', name], { env });
  assert.equal(pulled.exitCode, 0, pulled.stderr);
  const short = image.layers[0]!.slice(7, 19);
  const lines = pulled.stdout.toString().trimEnd().split('\n');
  assert.equal(lines[0], `${name}: pulling`);
  assert.ok(lines.includes(`${short}: done`));
  assert.equal(lines.at(-1), `${name}: stored, ${image.digest}`);

  const file = join(home, 'archive.tar');
  writeFileSync(file, await makeTar(layoutFiles(image, 'localhost/copy:1')));
  const loaded = await runCli(['images', 'load', file], { env });
  assert.equal(loaded.stdout.toString(), `localhost/copy:1: is up to date, ${image.digest}\n`);

  const listed = await runCli(['images', '--json'], { env });
  const { images } = JSON.parse(listed.stdout.toString()) as { images: ImageSummary[] };
  assert.deepEqual(
    images.map((row) => [row.name, row.digest, row.layers]),
    [
      [name, image.digest, 1],
      ['localhost/copy:1', image.digest, 1],
    ],
  );
  assert.match(
    (await runCli(['images'], { env })).stdout.toString(),
    /^Image +Digest .*\n127\.0\.0\.1:\d+\/app:latest /,
  );

  const removed = await runCli(['images', 'rm', name, 'localhost/copy:1'], { env });
  assert.equal(removed.exitCode, 0, removed.stderr);
  assert.deepEqual(readdirSync(new HomePaths(home).images.blobsDir), []);
  const unknown = await runCli(['images', 'rm', 'none'], { env });
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, /there is no image docker\.io\/library\/none:latest\n {2}monocore images shows/);
});

test('Ctrl-C ends a pull, and what was got is no blob', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage();
  registry.add('app', 'latest', image);
  const home = await makeTempDir(t);
  const asked = new Promise<void>((resolve) => {
    registry.fault = (request, response, body) => {
      if (!request.url!.endsWith(image.layers[0]!)) return false;
      response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 3), () => resolve());
      return true;
    };
  });
  const child = spawnCli(['pull', '--insecure', `${registry.host}/app`], {
    env: { MONOCORE_HOME: home, DOCKER_CONFIG: home },
  });
  defer(t, () => child.kill('SIGKILL'));
  await Promise.race([asked, once(child, 'close')]);
  const ended = waitForCli(child);
  child.kill('SIGINT');
  const { exitCode, stderr } = await ended;
  assert.equal(exitCode, 130);
  assert.match(stderr, /interrupted/);
  assert.equal(existsSync(new HomePaths(home).images.blob(image.layers[0]!)), false);
});

test('wrong names and sizes are wrong usage', async (t) => {
  const env = { MONOCORE_HOME: await makeTempDir(t) };
  for (const args of [
    ['pull'],
    ['pull', 'No Name'],
    ['pull', '--max-image-size', 'big', 'a'],
    ['images', 'frobnicate'],
  ]) {
    assert.equal((await runCli(args, { env })).exitCode, 2, args.join(' '));
  }
});
