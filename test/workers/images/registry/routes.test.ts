import assert from 'node:assert/strict';
import test from 'node:test';
import { isExempt } from '../../../../workers/images/registry/routes.ts';

test('NO_PROXY exempts names and their subdomains, addresses, networks and ports', () => {
  const cases: readonly (readonly [url: string, noProxy: string, exempt: boolean])[] = [
    ['https://registry.example/v2/', '', false],
    ['https://registry.example/v2/', '*', true],
    ['https://registry.example/v2/', 'other.example, Registry.EXAMPLE', true],
    ['https://registry.example/v2/', 'example', true],
    ['https://registry.example/v2/', '.example', true],
    ['https://registry.example/v2/', '*.example', true],
    ['https://example/v2/', '.example', false],
    ['https://registry.example/v2/', 'istry.example', false],
    ['https://registry.example:5000/v2/', 'registry.example:5000', true],
    ['https://registry.example/v2/', 'registry.example:5000', false],
    ['https://registry.example/v2/', 'registry.example:443', true],
    ['http://registry.example/v2/', 'registry.example:443', false],
    ['https://10.1.2.3/v2/', '10.0.0.0/8', true],
    ['https://11.1.2.3/v2/', '10.0.0.0/8', false],
    ['https://10.1.2.3/v2/', '10.0.0.0/99,10.0.0.0/x,example/8,/', false],
    ['https://10.1.2.3:5000/v2/', '10.1.2.3', true],
    ['https://registry.example/v2/', '0.0.0.0/0', false],
    ['https://[fd00::1]/v2/', 'fd00::/8', true],
    ['https://[fd00::1]/v2/', 'fd00::1', true],
    ['https://[fd00::1]:5000/v2/', '[fd00::1]:5000', true],
    ['https://[fd00::1]/v2/', '10.0.0.0/8', false],
  ];
  for (const [url, noProxy, exempt] of cases) {
    assert.equal(isExempt(new URL(url), noProxy), exempt, `${url} with ${noProxy}`);
  }
});

test('loopback hosts need no proxy', () => {
  for (const host of ['localhost:5000', '127.0.0.1', '127.1.2.3:80', '[::1]:5000']) {
    assert.ok(isExempt(new URL(`http://${host}/`), ''), host);
  }
});
