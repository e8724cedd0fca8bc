/** The commands on images as people run them: each a process of its own, without a daemon and with one. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { renderImages } from '../../../src/cli/commands/images.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import type { ImageSummary } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { eventually } from '../../helpers/eventually.ts';
import { gate } from '../../helpers/fakes/fake-context.ts';
import { layoutFiles, makeImage, makeTar } from '../../helpers/images/images.ts';
import { runCli, spawnCli, waitForCli } from '../../helpers/processes/run-cli.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

const WAYS = ['in process', 'by the daemon'] as const;

/** A home, with a daemon where the requests go to one. */
async function makeHome(t: TestContext, way: (typeof WAYS)[number]) {
  const home = await makeTempDir(t);
  const env = { MONOCORE_HOME: home, DOCKER_CONFIG: home };
  return { home, env, daemon: way === 'by the daemon' ? await startDaemon(t, env) : null };
}

/** A daemon in the foreground, ended with the test. */
async function startDaemon(t: TestContext, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const daemon = spawnCli(['daemon', 'run'], { env: { ...env, DOCKER_CONFIG: '/nonexistent' } });
  const ended = once(daemon, 'close');
  defer(t, async () => {
    daemon.kill('SIGTERM');
    await ended;
  });
  await Promise.race([once(daemon.stderr, 'data'), ended]);
  return daemon;
}

for (const way of WAYS) {
  test(`an image is pulled, listed, loaded and removed ${way}, in plain lines where there is no terminal`, async (t) => {
    const registry = await startRegistry(t);
    const image = makeImage();
    registry.add('app', 'latest', image);
    const { home, env } = await makeHome(t, way);
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
    assert.match(unknown.stderr, /there is no image docker\.io\/library\/none:latest\n {2}monocore images lists/);
  });

  test(`Ctrl-C ends a pull ${way}, its connection to the registry, and what was got is no blob`, async (t) => {
    const registry = await startRegistry(t);
    const image = makeImage();
    registry.add('app', 'latest', image);
    const { home, env } = await makeHome(t, way);
    const asked = new Promise<ServerResponse>((resolve) => {
      registry.fault = (request, response, body) => {
        if (!request.url!.endsWith(image.layers[0]!)) return false;
        response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 3), () => resolve(response));
        return true;
      };
    });
    const child = spawnCli(['pull', '--insecure', `${registry.host}/app`], { env });
    defer(t, () => child.kill('SIGKILL'));
    const response = await asked;
    const broken = once(response, 'close');
    const ended = waitForCli(child);
    child.kill('SIGINT');
    const { exitCode, stderr } = await ended;
    assert.equal(exitCode, 130);
    assert.match(stderr, /interrupted/);
    await broken;
    assert.equal(existsSync(new HomePaths(home).images.blob(image.layers[0]!)), false);
  });
}

test('two pulls of an image at once are one download, and both are told of it', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage();
  registry.add('app', 'latest', image);
  const { env } = await makeHome(t, 'by the daemon');
  const isAsked = gate();
  const goOn = gate();
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    isAsked.open();
    void goOn.opened.then(() => response.writeHead(200, { 'content-length': body.length }).end(body));
    return true;
  };
  const args = ['pull', '--insecure', `${registry.host}/app`];
  const first = runCli(args, { env });
  await isAsked.opened;
  const second = spawnCli(args, { env });
  const secondEnded = waitForCli(second);
  await once(second.stdout, 'data');
  goOn.open();
  for (const { exitCode, stdout, stderr } of await Promise.all([first, secondEnded])) {
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout.toString(), /app:latest: pulling\n.*: stored, sha256:/s);
  }
  assert.equal(registry.requests.filter((line) => line.endsWith(image.layers[0]!)).length, 1);
});

test('a daemon that is killed during a pull is an error, and the next pull resumes it', async (t) => {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [randomBytes(300_000)] });
  registry.add('app', 'latest', image);
  const { home, env, daemon } = await makeHome(t, 'by the daemon');
  registry.fault = (request, response, body) => {
    if (!request.url!.endsWith(image.layers[0]!)) return false;
    response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 150_000));
    return true;
  };
  const args = ['pull', '--insecure', `${registry.host}/app`];
  const pulling = runCli(args, { env });
  const partial = new HomePaths(home).images.partial(image.layers[0]!);
  await eventually('a part of the layer', () => existsSync(partial) && statSync(partial).size > 0);
  daemon!.kill('SIGKILL');
  const { exitCode, stderr } = await pulling;
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /the daemon ended before it answered\n {2}run the command again; a pull resumes its download/);
  registry.fault = () => false;
  registry.requests.length = 0;
  const next = await runCli(args, { env });
  assert.equal(next.exitCode, 0, next.stderr);
  assert.match(registry.requests.at(-1)!, /blobs\/sha256:\w+ bytes=\d+-$/);
});

test('an archive is found from the folder of the command, and errors of the daemon are those of the command', async (t) => {
  const { home, env } = await makeHome(t, 'by the daemon');
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'archive.tar'), await makeTar(layoutFiles(makeImage(), 'localhost/copy:1')));
  const loaded = await runCli(['images', 'load', 'archive.tar'], { env, cwd: dir });
  assert.equal(loaded.exitCode, 0, loaded.stderr);
  const missing = await runCli(['images', 'load', 'none.tar'], { env, cwd: dir });
  assert.equal(missing.exitCode, 2);
  assert.match(
    missing.stderr,
    new RegExp(`${join(dir, 'none.tar')} cannot be read: no such file or directory \\(ENOENT\\)`),
  );
  const pruned = await runCli(['images', 'prune'], { env });
  assert.equal(pruned.stdout.toString(), '0 B freed\n');
  assert.deepEqual(readdirSync(new HomePaths(home).images.partialDir), []);
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

test('the table of images is aligned, and marks unknown facts', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const row = { digest, size_bytes: 3 * 2 ** 20, layers: 12, created_at: null, root_bytes: null, exposed_ports: [] };
  const name = 'docker.io/library/app:1';
  const images = [
    { ...row, name, platform: 'linux/amd64', pulled_at: '2026-11-23T08:00:00.000Z' },
    { ...row, name: null, platform: null, pulled_at: null },
  ];
  const now = Date.parse('2026-11-23T10:30:00Z');
  assert.equal(
    renderImages(images, NO_COLORS, now),
    [
      'Image                    Digest        Platform     Layers   Size  Root  Pulled',
      'docker.io/library/app:1  aaaaaaaaaaaa  linux/amd64      12  3 MiB     -  2h 30m ago',
      '-                        aaaaaaaaaaaa  -                12  3 MiB     -  -',
      '',
    ].join('\n'),
  );
  assert.match(renderImages([], NO_COLORS, now), /no images/);
});
