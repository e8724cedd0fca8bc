import assert from 'node:assert/strict';
import test from 'node:test';
import { describeDifferences } from '../../src/orchestrator/service-diff.ts';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import type { Service } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS, type HealthCheck } from '../../src/protocol/supervision.ts';
import type { ServiceDefinition } from '../../src/supervisor/status.ts';
import { scriptService } from '../helpers/fakes/services.ts';

function define(overrides: Partial<Service> = {}, rest: Partial<ServiceDefinition> = {}): ServiceDefinition {
  const service = scriptService('web', 'true', overrides);
  return { service, group: null, groupIp: null, groupIndex: null, kernel: null, ...rest };
}

/** Differences that follow from a change of the service's keys. */
const between = (from: Partial<Service>, to: Partial<Service>) => describeDifferences(define(from), define(to));

const CHECK: HealthCheck = {
  probe: { type: 'exec', command: ['/check', '--password=old'] },
  interval_ms: 10_000,
  timeout_ms: 5000,
  retries: 3,
  start_period_ms: 10_000,
};

test('of what is the same nothing is told', () => {
  assert.deepEqual(between({ envs: { A: '1', B: '2' } }, { envs: { B: '2', A: '1' } }), []);
});

test('a change names both values, as configs write them', () => {
  const to = {
    image: 'alpine:3.20',
    command: null,
    cpus: 2,
    ram_mib: 1024,
    disk_mib: 1024,
    stop_timeout_ms: 90_000,
    stop_signal: 'SIGINT',
    user: 'nobody',
    host_user: 'qemu',
  } as const;
  assert.deepEqual(between({ image: 'alpine:3.19' }, to), [
    'image changed from alpine:3.19 to alpine:3.20',
    "command changed from /bin/sh to the image's",
    'cpus changed from 1 to 2',
    'ram changed from 128MiB to 1GiB',
    'stop_timeout changed from 10s to 90s',
    'stop_signal changed from the default to INT',
    'disk changed from none to 1GiB',
    'user changed from the default to nobody',
    "host_user changed from the daemon's to qemu",
  ]);
  const ports = [
    { host: 8080, guest: 80, protocol: 'tcp' },
    { host: 53, guest: 53, protocol: 'udp' },
  ] as const;
  assert.deepEqual(between({ ports: [ports[0]] }, { ports: [...ports] }), [
    'ports changed from 8080:80 to 8080:80, 53:53/udp',
  ]);
  assert.deepEqual(between({ ports: [ports[0]] }, { ports: [] }), ['ports changed from 8080:80 to none']);
});

test('variables, volumes, secrets and dependencies are told by their names alone', () => {
  const from = { KEPT: 'secret-0', CHANGED: 'secret-1', GONE: 'secret-2' };
  assert.deepEqual(between({ envs: from }, { envs: { KEPT: 'secret-0', CHANGED: 'secret-3', NEW: 'secret-4' } }), [
    'variables changed: CHANGED',
    'variables added: NEW',
    'variables removed: GONE',
  ]);
  const many = Object.fromEntries(['A', 'B', 'C', 'D', 'E', 'F', 'G'].map((name) => [name, 'x']));
  assert.deepEqual(between({}, { envs: many }), ['variables added: A, B, C, D, E and 2 more']);
  const volume = { host: '/srv', guest: '/data', read_only: false };
  assert.deepEqual(between({ volumes: [volume] }, { volumes: [{ ...volume, read_only: true }] }), [
    'volumes changed: /data',
  ]);
  const secrets = [{ name: 'key', path: '/etc/key' }];
  assert.deepEqual(between({}, { secrets }), ['secrets added: key']);
  const [db, cache] = (['db', 'cache'] as const).map((service) => ({ service, condition: 'started' as const }));
  assert.deepEqual(between({ depends_on: [db!] }, { depends_on: [{ ...db!, condition: 'healthy' }, cache!] }), [
    'dependencies changed: db',
    'dependencies added: cache',
  ]);
  assert.deepEqual(between({ depends_on: [db!, cache!] }, { depends_on: [cache!, db!] }), [
    'order of dependencies changed',
  ]);
});

test('what may have a password in it is not told', () => {
  assert.deepEqual(between({ args: ['--token=a'] }, { args: ['--token=b'] }), ['args changed']);
  const probe = { type: 'exec', command: ['/check', '--password=new'] } as const;
  assert.deepEqual(
    between({ healthcheck: CHECK }, { healthcheck: { ...CHECK, probe: { ...probe, command: [...probe.command] } } }),
    ['healthcheck.exec changed'],
  );
});

test('keys of tables are told one by one', () => {
  const tcp = { type: 'tcp', port: 80 } as const;
  assert.deepEqual(between({}, { healthcheck: CHECK }), ['healthcheck added']);
  assert.deepEqual(between({ healthcheck: CHECK }, { healthcheck: null }), ['healthcheck removed']);
  assert.deepEqual(between({ healthcheck: CHECK }, { healthcheck: { ...CHECK, probe: tcp, interval_ms: 1000 } }), [
    'healthcheck changed from exec to tcp',
    'healthcheck.interval changed from 10s to 1s',
  ]);
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'always', max_restarts: 3 } as const;
  const log = { ...DEFAULT_LOG_SETTINGS, keep_for_ms: null, max_size_bytes: 2 ** 20 };
  assert.deepEqual(between({}, { restart, log }), [
    'restart changed from no to always',
    'max_restarts changed from no limit to 3',
    'log.max_size changed from 10MiB to 1MiB',
    'log.keep_for changed from 7d to forever',
  ]);
});

test('a change of its group is one of the service, and what follows from another group is not told', () => {
  const inGroup = (local_only: boolean, groupIp = '127.0.0.2', groupIndex = 1) =>
    define({ group: 'shop' }, { group: { name: 'shop', address: null, local_only }, groupIp, groupIndex });
  assert.deepEqual(describeDifferences(inGroup(true), inGroup(false)), [
    'local_only of group shop changed from true to false',
  ]);
  assert.deepEqual(describeDifferences(inGroup(true), inGroup(true, '127.0.0.3')), [
    'address of group shop changed from 127.0.0.2 to 127.0.0.3',
  ]);
  assert.deepEqual(describeDifferences(inGroup(true), inGroup(true, '127.0.0.2', 2)), [
    'address in the network of its group changed from 10.83.0.1 to 10.83.0.2',
  ]);
  assert.deepEqual(describeDifferences(define(), inGroup(true)), ['group changed from none to shop']);
  assert.deepEqual(describeDifferences(define(), define({}, { kernel: '/boot/vmlinuz' })), [
    'kernel changed from the default to /boot/vmlinuz',
  ]);
});

test('no key of a service differs without a word', () => {
  const other: Service = {
    name: 'other',
    replica_of: 'others',
    group: 'shop',
    isolation: 'none',
    rootfs: '/srv/root',
    image: 'alpine',
    command: '/bin/true',
    args: ['x'],
    envs: { A: '1' },
    workdir: '/srv',
    cpus: 2,
    ram_mib: 256,
    ports: [{ host: 1, guest: 1, protocol: 'tcp' }],
    volumes: [{ host: '/a', guest: '/b', read_only: true }],
    secrets: [{ name: 'a', path: '/a' }],
    depends_on: [{ service: 'db', condition: 'started' }],
    stop_timeout_ms: 1,
    stop_signal: 'SIGINT',
    restart: { when: 'always', max_restarts: 1, reset_ms: 1, max_memory_bytes: 1 },
    healthcheck: CHECK,
    on_unhealthy: 'restart',
    disk_mib: 1,
    user: 'nobody',
    host_user: 'qemu',
    open_files: 1,
    cpu_shares: 2,
    log: { ...DEFAULT_LOG_SETTINGS, format: 'json' },
  };
  for (const key of Object.keys(other) as (keyof Service)[]) {
    const phrases = between({}, { [key]: other[key] });
    assert.ok(phrases.length > 0 && phrases.every((phrase) => phrase.length > key.length / 2), `${key}: ${phrases}`);
  }
});
