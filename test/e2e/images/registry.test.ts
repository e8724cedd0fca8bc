/** Images pushed by skopeo to the distribution project's registry, pulled by the command and read again by skopeo. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { ImageSummary } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { ARCHITECTURE, digestOf, makeImage, makeIndex, makeTar } from '../../helpers/images/images.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { PASSWORD, skopeo, startDockerRegistry, USERNAME, writeLayout } from '../../helpers/servers/docker-registry.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const CREDENTIALS = `${USERNAME}:${PASSWORD}`;
const OTHER = ARCHITECTURE === 'arm64' ? 'amd64' : 'arm64';

test('images of every kind are pulled from a real registry, and skopeo finds them sound', async (t) => {
  const host = await startDockerRegistry(t);
  const dir = await makeTempDir(t);
  const layers = [await makeTar([['a', randomBytes(300_000)]]), await makeTar([['b', Buffer.from('b')]])];
  const mine = makeImage({ layers });
  const other = makeImage({ architecture: OTHER, layers });
  await writeLayout(join(dir, 'one'), mine, 'one');
  await writeLayout(
    join(dir, 'many'),
    makeIndex({ [`linux/${OTHER}`]: other, [`linux/${ARCHITECTURE}`]: mine }),
    'many',
  );

  const to = (tag: string) => [
    '--dest-tls-verify=false',
    '--dest-creds',
    CREDENTIALS,
    `docker://${host}/team/app:${tag}`,
  ];
  await skopeo('copy', '--format', 'oci', `oci:${join(dir, 'one')}:one`, ...to('oci'));
  await skopeo('copy', '--format', 'v2s2', `oci:${join(dir, 'one')}:one`, ...to('docker'));
  await skopeo('copy', '--all', `oci:${join(dir, 'many')}:many`, ...to('many'));
  await skopeo('copy', '--all', '--format', 'v2s2', `oci:${join(dir, 'many')}:many`, ...to('list'));
  // Of its own content: skopeo would find the layers above, packed by gzip, and push none.
  const fresh = makeImage({
    layers: [await makeTar([['c', randomBytes(9000)]]), await makeTar([['d', randomBytes(9)]])],
  });
  await writeLayout(join(dir, 'fresh'), fresh, 'fresh');
  const zstd = ['--dest-compress', '--dest-compress-format', 'zstd', '--dest-compress-level', '3'];
  await skopeo('copy', ...zstd, '--format', 'oci', `oci:${join(dir, 'fresh')}:fresh`, ...to('zstd'));

  const home = join(dir, 'home');
  const env = { MONOCORE_HOME: home, DOCKER_CONFIG: dir };
  const tags = ['oci', 'docker', 'many', 'list', 'zstd'];
  const names = tags.map((tag) => `${host}/team/app:${tag}`);
  const refused = await runCli(['pull', '--insecure', names[0]!], { env });
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /refuses .* \(status 401\)\n {2}.*docker login/);

  const auth = Buffer.from(CREDENTIALS).toString('base64');
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  const pulled = await runCli(['pull', '--insecure', ...names], { env });
  assert.equal(pulled.exitCode, 0, pulled.stderr);
  assert.ok(!`${pulled.stdout}${pulled.stderr}`.includes(PASSWORD));
  assert.deepEqual(readdirSync(new HomePaths(home).images.partialDir), []);

  const { images } = JSON.parse((await runCli(['images', '--json'], { env })).stdout.toString()) as {
    images: ImageSummary[];
  };
  assert.deepEqual(images.map(({ name }) => name).sort(), [...names].sort());
  assert.ok(images.every((image) => image.platform === `linux/${ARCHITECTURE}` && image.layers === 2));
  const packed = images.find(({ name }) => name?.endsWith(':zstd'))!;
  assert.match(readFileSync(new HomePaths(home).images.blob(packed.digest), 'utf8'), /tar\+zstd/);
  const { blobsDir } = new HomePaths(home).images;
  for (const hex of readdirSync(blobsDir)) assert.equal(digestOf(readFileSync(join(blobsDir, hex))), `sha256:${hex}`);
  for (const tag of tags) {
    const name = `${host}/team/app:${tag}`;
    const theirs = await skopeo('inspect', '--tls-verify=false', '--creds', CREDENTIALS, `docker://${name}`);
    const { Layers } = JSON.parse(theirs) as { Layers: string[] };
    for (const layer of Layers) assert.ok(existsSync(new HomePaths(home).images.blob(layer)), `${tag} has ${layer}`);
    // In a layout skopeo overlooks manifests of Docker's types, which are kept as they came to keep their digests.
    if (tag === 'docker' || tag === 'list') continue;
    // Checks the digest of everything that it copies.
    await skopeo('copy', `oci:${new HomePaths(home).images.dir}:${name}`, `dir:${join(dir, `copy-${tag}`)}`);
  }
});

test('archives that skopeo writes are loaded', async (t) => {
  const dir = await makeTempDir(t);
  const image = makeImage({
    layers: [await makeTar([['a', randomBytes(50_000)]]), await makeTar([['b', Buffer.from('b')]])],
  });
  await writeLayout(join(dir, 'one'), image, 'one');
  const source = `oci:${join(dir, 'one')}:one`;
  await skopeo('copy', source, `docker-archive:${join(dir, 'docker.tar')}:example.com/team/docker:1`);
  await skopeo('copy', source, `oci-archive:${join(dir, 'oci.tar')}:example.com/team/oci:1`);
  const env = { MONOCORE_HOME: join(dir, 'home') };
  const loaded = await runCli(['images', 'load', join(dir, 'docker.tar'), join(dir, 'oci.tar')], { env });
  assert.equal(loaded.exitCode, 0, loaded.stderr);
  assert.match(
    loaded.stdout.toString(),
    /^example\.com\/team\/docker:1: stored, .*\nexample\.com\/team\/oci:1: stored, /,
  );
  const store = new HomePaths(join(dir, 'home')).images.dir;
  for (const name of ['example.com/team/docker:1', 'example.com/team/oci:1']) {
    await skopeo('copy', `oci:${store}:${name}`, `dir:${join(dir, name.replaceAll('/', '-').replace(':', '-'))}`);
  }
});
