import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.ts';
import type { Service } from '../../src/protocol/service.ts';
import { ownCommand } from '../../src/vm/host/service-command.ts';

const { services, groups } = await loadConfig(fileURLToPath(new URL('../../scripts/demo.toml', import.meta.url)));

function serviceNamed(name: string): Service {
  const service = services.find((candidate) => candidate.name === name);
  assert.ok(service, name);
  return service;
}

test('the demo declares four microVMs in two groups, with the built-in root', () => {
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['demo', 'site'],
  );
  assert.deepEqual(
    services.map(({ name, group, isolation, rootfs }) => [name, group, isolation, rootfs]),
    [
      ['counter', 'demo', 'vm', null],
      ['site', 'site', 'vm', null],
      ['report', 'demo', 'vm', null],
      ['client', 'site', 'vm', null],
    ],
  );
  assert.deepEqual(serviceNamed('site').ports, [{ host: 8080, guest: 80, protocol: 'tcp' }]);
  assert.deepEqual(serviceNamed('client').depends_on, [{ service: 'site', condition: 'started' }]);
});

test('every script of the demo is one that a shell can read', () => {
  for (const { name, command, args } of services) {
    const [option, script] = args;
    assert.deepEqual([command, option], ['/bin/sh', '-c'], name);
    const { status, stderr } = spawnSync('/bin/sh', ['-n'], { input: script, encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, ''], name);
  }
});

test('report writes to both streams and exits 3', () => {
  const { command, args } = ownCommand(serviceNamed('report'));
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  assert.equal(status, 3);
  assert.match(stdout, /^disk: fine\n/);
  assert.equal(stderr, 'moon phase: cannot be measured\n');
});

test('counter counts, and says so when it is asked to stop', async () => {
  const { command, args, envs } = ownCommand(serviceNamed('counter'));
  const child = spawn(command, args, { env: { ...process.env, ...envs }, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    // Once: what the trap prints comes here too.
    if (output.includes('count 1\n') && !child.killed) child.kill('SIGTERM');
  });
  const [code, signal] = await once(child, 'close');
  assert.deepEqual([code, signal], [0, null]);
  assert.match(output, /^hello from the demo group\ncount 1\n(count 2\n)?stopped at [12]\n$/);
});
