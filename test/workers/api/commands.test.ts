import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { type ErrorCode, MonocoreError } from '../../../src/lib/errors.ts';
import type { StartRequest, StopRequest } from '../../../src/protocol/api.ts';
import type { ErrorReply } from '../../../src/protocol/http.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { DAEMON_STATUS, makeStatus, startApi } from '../../helpers/api/harness.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';

const EMPTY_CONFIG = configOf([]);
const SHOP = { name: 'shop', folder: '/srv/shop' };

function errorOf(json: unknown) {
  return (json as ErrorReply).error;
}

test('the daemon and its services are answered as the main thread tells them', async (t) => {
  const { ask } = await startApi(t);
  assert.deepEqual((await ask('GET', '/v1/daemon')).json, DAEMON_STATUS);
  const services = [makeStatus('db'), makeStatus('web', { group: 'front' })];
  assert.deepEqual((await ask('GET', '/v1/services')).json, { services });
});

test('services are selected by name, else by group', async (t) => {
  const { ask } = await startApi(t);
  const namesAt = async (query: string) => {
    const { json } = await ask('GET', `/v1/services?${query}`);
    return (json as { services: { name: string }[] }).services.map(({ name }) => name);
  };
  assert.deepEqual(await namesAt('name=web&name=db&name=web'), ['web', 'db']);
  assert.deepEqual(await namesAt('group=front'), ['web']);
  const replicas = ['web-1', 'web-2'].map((name) => makeStatus(name, { replica_of: 'web' }));
  const scaled = await startApi(t, { control: { services: async () => replicas } });
  assert.deepEqual((await scaled.ask('GET', '/v1/services?name=web')).json, { services: replicas });
  const mixed = [makeStatus('db', { project: SHOP }), makeStatus('web', { project: { ...SHOP, folder: '/other' } })];
  const owned = await startApi(t, { control: { services: async () => mixed } });
  const ofShop = await owned.ask('GET', '/v1/services?project=shop&folder=%2Fsrv%2Fshop');
  assert.deepEqual(ofShop.json, { services: mixed.slice(0, 1) });
  assert.equal((await owned.ask('GET', '/v1/services?project=shop')).status, 400);
  for (const query of ['name=nobody', 'group=none']) {
    const { status, json } = await ask('GET', `/v1/services?${query}`);
    assert.deepEqual([status, errorOf(json).code], [404, 'ServiceUnknown']);
  }
});

test('commands reach the main thread with their defaults filled in, and its reply comes back', async (t) => {
  const calls: [string, unknown][] = [];
  const reply = {
    services: [{ service: makeStatus('web'), outcome: 'changed', error: null, last_lines: [] }],
  } as const;
  const record = (command: string) => async (request: StartRequest | StopRequest) => {
    calls.push([command, request]);
    return reply;
  };
  const { ask } = await startApi(t, {
    control: {
      start: record('start'),
      stop: record('stop'),
      restart: record('restart'),
      remove: record('remove'),
      stopDaemon: async (request) => void calls.push(['stopDaemon', request]),
    },
  });
  const answers = [
    await ask('POST', '/v1/services/start', { names: ['web'], config: EMPTY_CONFIG }),
    await ask('POST', '/v1/services/stop', { group: 'front', timeout_ms: 5 }),
    await ask('POST', '/v1/services/restart', { project: SHOP }),
    await ask('POST', '/v1/services/remove', { all: true }),
  ];
  for (const { status, json } of answers) assert.deepEqual([status, json], [200, reply]);
  assert.deepEqual((await ask('POST', '/v1/daemon/stop')).json, {});
  assert.deepEqual(calls, [
    ['start', { names: ['web'], group: null, config: EMPTY_CONFIG, prune: false, atomic: false, take_over: false }],
    ['stop', { names: [], group: 'front', all: false, timeout_ms: 5 }],
    ['restart', { names: [], group: null, project: SHOP, all: false, timeout_ms: null }],
    ['remove', { names: [], group: null, all: true, timeout_ms: null }],
    ['stopDaemon', { leave_running: false }],
  ]);
});

test('a body that does not fit is refused with the path of what is wrong, and goes no further', async (t) => {
  let calls = 0;
  const start = async () => {
    calls += 1;
    return { services: [] };
  };
  const { ask } = await startApi(t, { control: { start } });
  const config = { ...EMPTY_CONFIG, groups: [{ name: 'front', address: null, local_only: 'yes' }] };
  const { status, json } = await ask('POST', '/v1/services/start', { config });
  assert.deepEqual([status, errorOf(json).code], [400, 'Usage']);
  assert.match(errorOf(json).message, /config\.groups\.0\.local_only: .*boolean/);
  for (const body of ['{', '[]', 'null', '{"config":1}']) {
    const answer = await ask('POST', '/v1/services/start', body);
    assert.deepEqual([answer.status, errorOf(answer.json).code], [400, 'Usage'], body);
  }
  assert.equal(calls, 0);
});

test('a body above 4 MiB is refused, with and without its length announced', async (t) => {
  const { ask } = await startApi(t);
  const body = JSON.stringify({ names: ['x'.repeat(4 * 2 ** 20)] });
  const announced = { headers: { 'content-length': body.length } };
  const chunked = { headers: { 'transfer-encoding': 'chunked' } };
  for (const options of [announced, chunked]) {
    const { status, json } = await ask('POST', '/v1/services/stop', body, options);
    assert.deepEqual([status, errorOf(json).code], [400, 'Usage']);
    assert.match(errorOf(json).message, /larger than 4 MiB/);
  }
});

test('a body just below 4 MiB is accepted in chunks', async (t) => {
  const { ask, calls } = await startRecorder(t);
  const request = JSON.stringify({ names: ['web'] });
  const body = request + ' '.repeat(4 * 2 ** 20 - request.length);
  const { status } = await ask('POST', '/v1/services/stop', body, { headers: { 'transfer-encoding': 'chunked' } });
  assert.deepEqual([status, calls], [200, ['stop']]);
});

/** An API whose commands are noted by name, and change nothing. */
async function startRecorder(t: TestContext) {
  const calls: string[] = [];
  const note = (name: string) => async () => {
    calls.push(name);
    return { services: [], actions: [], removed: [], freed_bytes: 0 };
  };
  const names = ['start', 'plan', 'stop', 'restart', 'remove', 'removeImages', 'pruneImages', 'stopDaemon'] as const;
  const { ask } = await startApi(t, { control: Object.fromEntries(names.map((name) => [name, note(name)])) });
  return { ask, calls };
}

test('every service is meant only by a request that says so', async (t) => {
  const { ask, calls } = await startRecorder(t);
  for (const command of ['stop', 'restart', 'remove']) {
    const bodies = [undefined, '', {}, { names: [] }, { group: null }, { all: false }, { name: ['zzz'] }];
    for (const body of [...bodies, { names: ['web'], all: true }, { group: 'front', all: true }, { all: 1 }]) {
      const { status, json } = await ask('POST', `/v1/services/${command}`, body);
      assert.deepEqual([status, errorOf(json).code], [400, 'Usage'], `${command} ${JSON.stringify(body)}`);
    }
  }
  assert.deepEqual(calls, []);
});

test('a key that nobody knows is refused wherever it is, and named', async (t) => {
  const { ask, calls } = await startRecorder(t);
  const service = scriptService('web', 'true');
  const config = configOf([service]);
  const withService = (change: object) => ({ config: { ...config, services: [{ ...service, ...change }] } });
  const requests: [string, object, string][] = [
    ['/v1/services/start', { config, prnue: true }, 'prnue'],
    ['/v1/services/start', { config: { ...config, extra: 1 } }, 'config.extra'],
    ['/v1/services/plan', withService({ comand: 'x' }), 'config.services.0.comand'],
    ['/v1/services/start', withService({ log: { ...service.log, keeps: 1 } }), 'config.services.0.log.keeps'],
    ['/v1/services/start', withService({ envs: { constructor: 'x' } }), 'config.services.0.envs.constructor'],
    ['/v1/services/stop', { names: ['web'], timeout: 5 }, 'timeout'],
    ['/v1/daemon/stop', { 'leave-running': true }, 'leave-running'],
    ['/v1/images/remove', { names: ['a'], force: true }, 'force'],
    ['/v1/images/prune', { names: ['a'] }, 'names'],
  ];
  for (const [path, body, key] of requests) {
    const { status, json } = await ask('POST', path, body);
    assert.equal(status, 400, path);
    assert.equal(errorOf(json).message, `the request's body is not valid: ${key}: is not known`);
  }
  const { status } = await ask('POST', '/v1/services/start', '{"config":{},"__proto__":{}}');
  assert.equal(status, 400);
  assert.deepEqual(calls, []);
});

test('no name, path or number of a config passes that could lead out of the home or harm the host', async (t) => {
  const { ask, calls } = await startRecorder(t);
  const service = scriptService('web', 'true');
  const start = (change: object) => {
    const config = configOf([{ ...service, ...change } as Service]);
    return ask('POST', '/v1/services/start', { config });
  };
  const port = { host: 80, guest: 80, protocol: 'tcp' };
  const volume = { host: '/a', guest: '/b', read_only: true };
  const wrong: object[] = [
    ...['../../x', '..', '.', '', 'a/b', 'a.b', 'A', 'a\0b', 'a\n', '-a', 'monocore', 'x'.repeat(64)].map((name) => ({
      name,
    })),
    { replica_of: '../x' },
    { group: '../x' },
    { rootfs: 'relative' },
    { rootfs: `/${'x'.repeat(5000)}` },
    { image: 'a\u001b[31m' },
    { command: 'a\0b' },
    { args: ['x'.repeat(200_000)] },
    { envs: { 'A=B': 'x' } },
    { envs: { A: 'a\0b' } },
    { workdir: 'relative' },
    { cpus: 0 },
    { cpus: null },
    { cpus: 1.5 },
    { ram_mib: -1 },
    { ram_mib: 256.5 },
    { disk_mib: 64.5 },
    { open_files: 1000.5 },
    { ports: [{ ...port, host: 70_000 }] },
    { ports: [{ ...port, guest: 0.5 }] },
    { volumes: [{ ...volume, host: 'x' }] },
    { secrets: [{ name: '../x', path: '/a' }] },
    { secrets: [{ name: 'x', path: 'a' }] },
    { depends_on: [{ service: '../x', condition: 'started' }] },
    { stop_timeout_ms: -1 },
    { user: '-x' },
    { log: { ...service.log, max_size_bytes: -1 } },
  ];
  for (const change of wrong) {
    const { status, json } = await start(change);
    assert.deepEqual([status, errorOf(json).code], [400, 'Usage'], JSON.stringify(change).slice(0, 100));
  }
  assert.deepEqual(calls, []);
  assert.equal((await start({ ports: [port], volumes: [volume] })).status, 200);
});

test('unknown and repeated query parameters are refused', async (t) => {
  const { ask } = await startApi(t);
  for (const path of [
    '/v1/services?nmae=web',
    '/v1/services?group=a&group=b',
    '/v1/services?name=',
    '/v1/logs?tail=-1',
    '/v1/logs?tail=1e3',
    '/v1/logs?stream=stdin',
    '/v1/logs?follow=maybe',
  ]) {
    const { status, json } = await ask('GET', path);
    assert.deepEqual([status, errorOf(json).code], [400, 'Usage'], path);
  }
});

test('unknown routes and methods are answered 404', async (t) => {
  const { ask } = await startApi(t);
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/v2/daemon'],
    ['DELETE', '/v1/services'],
    ['POST', '/v1/nothing'],
  ] as const) {
    const { status, json } = await ask(method, path);
    assert.deepEqual([status, errorOf(json).code], [404, 'Usage'], `${method} ${path}`);
  }
});

test('each error code has its status, and keeps message and details', async (t) => {
  const statuses: Record<ErrorCode, number> = {
    ImageUnknown: 404,
    ImageInUse: 409,
    NameTaken: 409,
    ImageUnavailable: 502,
    ConfigInvalid: 400,
    Usage: 400,
    ServiceUnknown: 404,
    DaemonRunning: 409,
    Aborted: 409,
    HomeUnusable: 500,
    ToolMissing: 500,
    StartFailed: 500,
    StopFailed: 500,
    Internal: 500,
    ImageInvalid: 502,
    DaemonUnreachable: 503,
    ThreadDied: 503,
    CallTimeout: 504,
  };
  let code: ErrorCode = 'Internal';
  const { ask } = await startApi(t, {
    control: {
      async daemon() {
        throw new MonocoreError(code, `about ${code}`, { details: [code] });
      },
    },
  });
  for (const [name, expected] of Object.entries(statuses)) {
    code = name as ErrorCode;
    const { status, json } = await ask('GET', '/v1/daemon');
    assert.deepEqual(
      { status, ...errorOf(json) },
      {
        status: expected,
        code,
        message: `about ${code}`,
        details: [code],
        cause_code: null,
      },
    );
  }
});

test('the host that a request names plays no part', async (t) => {
  const { ask } = await startApi(t);
  for (const host of ['evil.example', 'not a host', 'a/v1/services?', '']) {
    const { status, json } = await ask('GET', '/v1/daemon', undefined, { headers: { host }, setHost: false });
    assert.deepEqual([status, json], [200, DAEMON_STATUS], host);
  }
});

test('requests fail at once when the main thread is gone', async (t) => {
  const { ask, controlPort } = await startApi(t, { control: { start: () => new Promise(() => {}) } });
  const pending = ask('POST', '/v1/services/start', { config: EMPTY_CONFIG });
  await ask('GET', '/v1/daemon');
  controlPort.close();
  const answers = [await pending, await ask('GET', '/v1/daemon')];
  for (const { status, json } of answers) assert.deepEqual([status, errorOf(json).code], [503, 'ThreadDied']);
});
