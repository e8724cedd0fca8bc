import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { dockerConfigPath, hostPlatform, proxySettings } from '../../src/images/host.ts';

test('the platform has the names that images are labelled with', () => {
  assert.deepEqual(hostPlatform('x64'), { os: 'linux', architecture: 'amd64', variant: null });
  assert.deepEqual(hostPlatform('arm64'), { os: 'linux', architecture: 'arm64', variant: null });
});

test("Docker's config is where Docker looks for it", () => {
  assert.equal(dockerConfigPath({ DOCKER_CONFIG: '/etc/docker-cli' }), '/etc/docker-cli/config.json');
  assert.equal(dockerConfigPath({}), join(homedir(), '.docker', 'config.json'));
});

test('proxies have the names that most programs know', () => {
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
