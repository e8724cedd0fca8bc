import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { parseChallenges } from '../../../../workers/images/registry/authorization.ts';
import { findCredentials } from '../../../../workers/images/registry/credentials.ts';
import { makeStore } from '../../../helpers/images/harness.ts';
import { makeImage } from '../../../helpers/images/images.ts';
import { writeProgram } from '../../../helpers/processes/program.ts';
import { startRegistry } from '../../../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';

const SECRET = 'pass:wörd';
const BASIC = `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`;

async function writeConfig(t: TestContext, config: object | string): Promise<string> {
  const path = join(await makeTempDir(t), 'config.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return path;
}

/** Starts a registry that requires a token of its token service. */
async function startTokenRegistry(t: TestContext, firstTokenUses = Number.POSITIVE_INFINITY) {
  const registry = await startRegistry(t);
  const image = makeImage({ layers: [Buffer.from('one'), Buffer.from('two')] });
  registry.add('team/app', 'latest', image);
  const asked: { method: string; url: URL; authorization: string | undefined; body: string }[] = [];
  let uses = 0;
  const answer = async (request: IncomingMessage): Promise<string> => {
    const url = new URL(request.url!, 'http://token');
    const { method = '', headers } = request;
    asked.push({ method, url, authorization: headers.authorization, body: await text(request) });
    uses = 0;
    return JSON.stringify({ token: `token-${asked.length}` });
  };
  const service = createServer((request, response) => void answer(request).then((body) => response.end(body)));
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  defer(t, () => service.close());
  defer(t, () => service.closeAllConnections());
  const realm = `http://127.0.0.1:${(service.address() as AddressInfo).port}/token`;
  registry.fault = (request, response) => {
    uses += 1;
    if (
      request.headers.authorization === `Bearer token-${asked.length}` &&
      (asked.length > 1 || uses <= firstTokenUses)
    )
      return false;
    const challenge = `Bearer realm="${realm}",service="a, b",scope="repository:team/app:pull"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end('{}');
    return true;
  };
  return { registry, asked };
}

test('a token is requested once, anonymously without credentials', async (t) => {
  const { registry, asked } = await startTokenRegistry(t);
  const { pull } = await makeStore(t);
  await pull(`${registry.host}/team/app`);
  assert.equal(asked.length, 1);
  assert.equal(asked[0]!.authorization, undefined);
  assert.deepEqual(
    [...asked[0]!.url.searchParams],
    [
      ['service', 'a, b'],
      ['scope', 'repository:team/app:pull'],
    ],
  );
});

test('a token that expires during a pull is renewed', async (t) => {
  const { registry, asked } = await startTokenRegistry(t, 2);
  const { pull } = await makeStore(t);
  await pull(`${registry.host}/team/app`);
  assert.equal(asked.length, 2);
});

test('a token service gets the credentials of docker login', async (t) => {
  const { registry, asked } = await startTokenRegistry(t);
  const auth = Buffer.from(`me:${SECRET}`).toString('base64');
  const dockerConfigPath = await writeConfig(t, { auths: { [`https://${registry.host}/v2/`]: { auth } } });
  const { pull, events } = await makeStore(t);
  await pull(`${registry.host}/team/app`, { docker_config: dockerConfigPath });
  assert.equal(asked[0]!.authorization, BASIC);
  assert.ok(!JSON.stringify(events).includes(SECRET));
});

test('an identity token is sent in the body of a token request', async (t) => {
  const { registry, asked } = await startTokenRegistry(t);
  const dockerConfigPath = await writeConfig(t, { auths: { [registry.host]: { identitytoken: 'refresh' } } });
  const { pull } = await makeStore(t);
  await pull(`${registry.host}/team/app`, { docker_config: dockerConfigPath });
  assert.equal(asked[0]!.method, 'POST');
  const form = new URLSearchParams(asked[0]!.body);
  assert.equal(form.get('refresh_token'), 'refresh');
  assert.equal(form.get('grant_type'), 'refresh_token');
});

test('Basic credentials come from a helper, and the error for a wrong password does not show it', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  registry.fault = (request, response) => {
    if (request.headers.authorization === BASIC) return false;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end();
    return true;
  };
  const bin = await makeTempDir(t);
  const answers = (secret: string) =>
    `read -r server; [ "$1 $server" = "get ${registry.host}" ] || exit 9; printf '{"Username":"me","Secret":"${secret}"}'`;
  const path = process.env.PATH;
  process.env.PATH = `${bin}${delimiter}${path}`;
  defer(t, () => {
    process.env.PATH = path;
  });
  const dockerConfigPath = await writeConfig(t, { credHelpers: { [registry.host]: 'test' } });
  const { pull } = await makeStore(t);
  writeProgram(join(bin, 'docker-credential-test'), answers('wrong-secret'));
  await assert.rejects(
    pull(`${registry.host}/app`, { docker_config: dockerConfigPath }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ImageUnavailable');
      assert.match(error.message, /refuses/);
      assert.ok(!JSON.stringify([error.message, error]).includes('wrong-secret'));
      return true;
    },
  );
  writeProgram(join(bin, 'docker-credential-test'), answers(SECRET));
  await pull(`${registry.host}/app`, { docker_config: dockerConfigPath });
  writeProgram(join(bin, 'docker-credential-test'), 'echo secret-of-a-broken-helper; exit 3');
  await assert.rejects(pull(`${registry.host}/app`, { docker_config: dockerConfigPath }), {
    code: 'ImageUnavailable',
    message: 'docker-credential-test gave no credentials: it ended with status 3',
  });
});

test('credentials are found under every spelling of a registry in the config', async (t) => {
  const auth = Buffer.from('me:secret').toString('base64');
  const notices: string[] = [];
  const find = async (config: object | string, registry: string) => {
    const path = await writeConfig(t, config);
    return findCredentials(path, registry, new AbortController().signal, (notice) => notices.push(notice));
  };
  const expected = { type: 'password', username: 'me', password: 'secret' };
  assert.deepEqual(await find({ auths: { 'https://index.docker.io/v1/': { auth } } }, 'docker.io'), expected);
  assert.deepEqual(await find({ auths: { 'ghcr.io': { auth } } }, 'ghcr.io'), expected);
  assert.equal(await find({ auths: { 'ghcr.io': { auth } } }, 'evil-ghcr.io'), null);
  assert.equal(await find({ auths: { 'ghcr.io': {} } }, 'ghcr.io'), null);
  assert.equal(await find({ auths: { 'ghcr.io': {} }, credsStore: 'not-installed-here' }, 'ghcr.io'), null);
  assert.equal(notices.length, 1);
  await assert.rejects(find('{"auths": "secret', 'ghcr.io'), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ConfigInvalid');
    assert.ok(!error.message.includes('secret'));
    return true;
  });
  mkdirSync(join(await makeTempDir(t), 'empty'));
  assert.equal(await findCredentials('/nonexistent/config.json', 'a.io', new AbortController().signal, () => {}), null);
});

test('credentials do not follow a redirect to another origin', async (t) => {
  const registry = await startRegistry(t);
  const elsewhere = await startRegistry(t);
  const image = makeImage();
  for (const one of [registry, elsewhere]) one.add('app', 'latest', image);
  registry.fault = (request, response) => {
    if (request.headers.authorization !== BASIC) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end();
    } else if (request.url!.includes('/blobs/')) {
      response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` }).end();
    } else {
      return false;
    }
    return true;
  };
  const auth = BASIC.slice('Basic '.length);
  const dockerConfigPath = await writeConfig(t, { auths: { [registry.host]: { auth } } });
  const { pull } = await makeStore(t);
  await pull(`${registry.host}/app`, { docker_config: dockerConfigPath });
  assert.equal(elsewhere.requests.length, 2);
  assert.ok(elsewhere.requests.every((request) => !request.includes('Basic')));
});

test('plain HTTP needs --insecure for registries on this host, or the name of the registry', async (t) => {
  const registry = await startRegistry(t);
  registry.add('app', 'latest', makeImage());
  const { pull } = await makeStore(t);
  await assert.rejects(pull(`${registry.host}/app`, { insecure_loopback: false }), { code: 'ImageUnavailable' });
  assert.equal(registry.requests.length, 0);
  await pull(`${registry.host}/app`, { insecure_loopback: false, insecure_registries: [registry.host] });
  registry.fault = (_request, response) => {
    response.writeHead(307, { location: 'http://elsewhere.example/v2/' }).end();
    return true;
  };
  await assert.rejects(pull(`${registry.host}/app`), {
    code: 'ImageUnavailable',
    message: 'plain HTTP to elsewhere.example is not allowed',
  });
});

test('challenges are parsed with quotes, commas and several schemes in one header', () => {
  assert.deepEqual(
    parseChallenges('Bearer realm="https://a/t",scope="x:y:pull,push", error=bad, Basic realm="a \\"b\\""'),
    [
      { scheme: 'bearer', parameters: { realm: 'https://a/t', scope: 'x:y:pull,push', error: 'bad' } },
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
    ],
  );
  assert.deepEqual(parseChallenges('Basic'), [{ scheme: 'basic', parameters: {} }]);
  assert.deepEqual(parseChallenges('"'), []);
  assert.deepEqual(parseChallenges(''), []);
});
