import assert from 'node:assert/strict';
import test from 'node:test';
import { formatImageReference, isLoopbackRegistry, parseImageReference } from '../../src/protocol/image-reference.ts';

const DIGEST = `sha256:${'a1'.repeat(32)}`;

test('names get the registry, the library and the tag that they leave out', () => {
  const full = {
    alpine: 'docker.io/library/alpine:latest',
    'alpine:3.20': 'docker.io/library/alpine:3.20',
    'owner/app': 'docker.io/owner/app:latest',
    'docker.io/alpine': 'docker.io/library/alpine:latest',
    'index.docker.io/owner/app:1': 'docker.io/owner/app:1',
    'ghcr.io/owner/app/part:v1.2-rc_1': 'ghcr.io/owner/app/part:v1.2-rc_1',
    'GHCR.io/owner/app': 'ghcr.io/owner/app:latest',
    'localhost/app': 'localhost/app:latest',
    'localhost:5000/app': 'localhost:5000/app:latest',
    '127.0.0.1:5000/app:2': '127.0.0.1:5000/app:2',
    '[::1]:5000/app': '[::1]:5000/app:latest',
    'host:5000/a__b/c-d.e': 'host:5000/a__b/c-d.e:latest',
    [`alpine@${DIGEST}`]: `docker.io/library/alpine@${DIGEST}`,
    [`alpine:3@${DIGEST}`]: `docker.io/library/alpine:3@${DIGEST}`,
  };
  for (const [text, expected] of Object.entries(full)) {
    const parsed = parseImageReference(text);
    assert.equal(formatImageReference(parsed), expected);
    assert.deepEqual(parseImageReference(expected), parsed, 'a name in full means the same');
  }
});

test('what is no name of an image is refused', () => {
  const wrong = [
    '',
    ':',
    'Alpine',
    'a b',
    'a//b',
    '/a',
    'a/',
    'a:',
    'a:b:c',
    'a@sha256:12',
    `a@${DIGEST}@${DIGEST}`,
    '../a',
  ]
    .concat([
      'a/../b',
      'http://a/b',
      '-a',
      'a-',
      'a___b',
      'host:port/a',
      `a:${'t'.repeat(129)}`,
      'a'.repeat(300),
      'a\n',
    ])
    .concat(['a@md5:12', `a@${DIGEST.toUpperCase()}`, '-x.io/a', 'x..io/a']);
  for (const text of wrong) {
    assert.throws(() => parseImageReference(text), { code: 'Usage' }, JSON.stringify(text));
  }
});

test('only this host is loopback', () => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1', '127.8.9.1:80', '[::1]', '[::1]:5000']) {
    assert.equal(isLoopbackRegistry(host), true, host);
  }
  for (const host of ['localhost.example.com', '127.0.0.1.example.com', '10.0.0.1:5000', 'docker.io', '[::2]:5000']) {
    assert.equal(isLoopbackRegistry(host), false, host);
  }
});
