/** Images from a registry over TLS, straight and through a proxy, with credentials of docker login. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { type Home, makeTestHome } from '../../helpers/home.ts';
import { makeBusyboxImage } from '../../helpers/images/program-image.ts';
import { type Certificate, makeCertificate } from '../../helpers/servers/certificate.ts';
import { PASSWORD, skopeo, startDockerRegistry, USERNAME, writeLayout } from '../../helpers/servers/docker-registry.ts';
import { startProxy } from '../../helpers/servers/proxy.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const NAME = 'registry.example';
const CREDENTIALS = `${USERNAME}:${PASSWORD}`;

interface Registry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly certificate: Certificate;
  /** With Docker's config, which does not have the credentials yet. */
  readonly dockerDir: string;
}

/** A registry whose certificate only skopeo is told of; it has team/app:1. */
async function fillRegistry(t: TestContext): Promise<Registry> {
  const dir = await makeTempDir(t);
  const certificate = makeCertificate(dir, NAME);
  const host = await startDockerRegistry(t, certificate);
  const image = await makeBusyboxImage(['echo', 'sleep'], { Cmd: ['/bin/sleep', '1000'], Env: ['PATH=/bin'] });
  await writeLayout(join(dir, 'layout'), image, 'app');
  // Where skopeo looks for authorities: *.crt.
  const trusted = join(dir, 'trusted');
  mkdirSync(trusted);
  writeFileSync(join(trusted, 'authority.crt'), readFileSync(certificate.path));
  const to = ['--dest-cert-dir', trusted, '--dest-creds', CREDENTIALS, `docker://${host}/team/app:1`];
  await skopeo('copy', '--format', 'oci', `oci:${join(dir, 'layout')}:app`, ...to);
  return { host, certificate, dockerDir: await makeTempDir(t) };
}

function logIn({ dockerDir }: Registry, host: string): void {
  const auth = Buffer.from(CREDENTIALS).toString('base64');
  writeFileSync(join(dockerDir, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
}

async function countImages(home: Home): Promise<number> {
  return (JSON.parse(await home.ok('images', '--json')) as { images: unknown[] }).images.length;
}

test('a service starts from a registry once its certificate is trusted and its password known; until then it says how', async (t) => {
  const registry = await fillRegistry(t);
  const { host, certificate, dockerDir } = registry;
  const home = await makeTestHome(t);
  const config = join(home.dir, 'monocore.toml');
  writeFileSync(config, `[[service]]\nname = "app"\nimage = "${host}/team/app:1"\n`);
  const start = ['start', '-f', config];
  const stranger = { DOCKER_CONFIG: dockerDir, NODE_EXTRA_CA_CERTS: undefined };
  const trusting = { ...stranger, NODE_EXTRA_CA_CERTS: certificate.path };

  const pulled = await home.run(['pull', `${host}/team/app:1`], stranger);
  assert.equal(pulled.code, 1);
  assert.match(pulled.stderr, /cannot be reached: self-signed certificate\n {2}NODE_EXTRA_CA_CERTS names /);
  const distrusted = await home.run(start, stranger);
  assert.equal(distrusted.code, 1);
  assert.match(distrusted.stderr, /cannot be reached: self-signed certificate; NODE_EXTRA_CA_CERTS names /);
  // The daemon of before does not know of it.
  assert.equal((await home.run(start, trusting)).code, 1);

  assert.equal((await home.run(['daemon', 'restart'], trusting)).code, 0);
  const refused = await home.run(start, trusting);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^monocore: app could not be started: the registry refuses .*\(status 401\); .*docker login/,
  );
  assert.match((await home.status('app')).error!, /docker login/);

  logIn(registry, host);
  const started = await home.run(start, trusting);
  assert.equal(started.code, 0, started.stderr);
  assert.equal((await home.status('app')).status, 'Started');
});

test('a pull goes through the tunnel of a proxy, and not to hosts that need none', async (t) => {
  const registry = await fillRegistry(t);
  const named = `${NAME}:${registry.host.split(':')[1]}`;
  logIn(registry, named);
  const proxy = await startProxy(t, 'me:secret');
  const home = await makeTestHome(t);
  const env = {
    DOCKER_CONFIG: registry.dockerDir,
    NODE_EXTRA_CA_CERTS: registry.certificate.path,
    HTTPS_PROXY: `http://me:secret@${proxy.host}`,
    https_proxy: undefined,
    NO_PROXY: '.elsewhere.example',
    no_proxy: undefined,
  };
  const refused = await home.run(['pull', `${named}/team/app:1`], { ...env, HTTPS_PROXY: proxy.host });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`${named} through the proxy ${proxy.host} cannot be reached: .*407`));
  assert.equal(await countImages(home), 0);

  const pulled = await home.run(['pull', `${named}/team/app:1`], env);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(await countImages(home), 1);
  assert.ok(
    proxy.requests.every((line) => line === `CONNECT ${named}`),
    proxy.requests.join(),
  );

  // What is asked for at this address is refused for want of a password, and not by the proxy.
  const before = proxy.requests.length;
  const straight = await home.run(['pull', `${registry.host}/team/app:1`], env);
  assert.match(straight.stderr, /\(status 401\)/);
  assert.equal(proxy.requests.length, before);
});

test('a registry that speaks plain HTTP is not asked so on its own', async (t) => {
  const host = await startDockerRegistry(t);
  const home = await makeTestHome(t);
  const { code, stderr } = await home.run(['pull', `${host}/team/app:1`]);
  assert.equal(code, 1);
  assert.match(stderr, /cannot be reached: wrong version number\n {2}it may speak plain HTTP: --insecure allows it /);
});
