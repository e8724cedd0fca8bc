import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { DaemonClient, isDaemonAbsent } from '../../src/cli/client.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { type Handler, sendError, sendJson, startFakeDaemon } from '../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../helpers/fakes/listed-services.ts';
import { configOf } from '../helpers/fakes/services.ts';
import { makeTempDir } from '../helpers/temp.ts';

function clientOf(home: string): DaemonClient {
  return new DaemonClient(new HomePaths(home).socket);
}

test('a selection becomes a query with a name parameter for each name', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
  });
  const client = clientOf(home);
  assert.deepEqual(await client.services({ names: ['web', 'a&b'], group: null }), { services: [makeService()] });
  await client.services({ names: [], group: 'demo' });
  assert.deepEqual(
    daemon.requests.map(({ url }) => url),
    ['/v1/services?name=web&name=a%26b', '/v1/services?group=demo'],
  );
});

test('a command is posted as JSON and its reply comes back', async (t) => {
  const home = await makeTempDir(t);
  const reply = { services: [makeOutcome(makeService())] };
  const daemon = await startFakeDaemon(t, home, {
    'POST /v1/services/stop': (response) => sendJson(response, reply),
  });
  const request = { names: ['web'], group: null, timeout_ms: 500 };
  assert.deepEqual(await clientOf(home).stop(request), reply);
  assert.deepEqual(daemon.requests[0]?.body, request);
});

test('an error of the daemon is thrown with its code, details and cause', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'GET /v1/services': (response) =>
      sendError(response, 507, { code: 'StartFailed', message: 'no room', details: ['x'], cause_code: 'ENOSPC' }),
  });
  await assert.rejects(clientOf(home).services({ names: [], group: null }), (error: Error & { cause: unknown }) => {
    assert.deepEqual({ ...error }, { ...error, name: 'MonocoreError', code: 'StartFailed', details: ['x'] });
    assert.equal(error.message, 'no room');
    assert.equal((error.cause as { code: string }).code, 'ENOSPC');
    return true;
  });
});

test('an answer outside the contract is an internal error that quotes it', async (t) => {
  const home = await makeTempDir(t);
  const garbage: Handler = (response) => response.writeHead(502).end('<html>Bad gateway</html>');
  await startFakeDaemon(t, home, { 'GET /v1/services': garbage });
  await assert.rejects(clientOf(home).services({ names: [], group: null }), {
    code: 'Internal',
    message: /HTTP 502.*Bad gateway/,
  });
});

test('no socket and a socket without a listener both mean that no daemon is running', async (t) => {
  const home = await makeTempDir(t);
  const { socket } = new HomePaths(home);
  await assert.rejects(clientOf(home).daemon(), isDaemonAbsent);

  // Node unlinks a socket that is closed properly, so it is moved away meanwhile.
  const { rename } = await import('node:fs/promises');
  const server = createServer().listen(socket);
  await once(server, 'listening');
  await rename(socket, `${socket}.stale`);
  server.close();
  await once(server, 'close');
  await rename(`${socket}.stale`, socket);
  await assert.rejects(clientOf(home).daemon(), isDaemonAbsent);
});

test('a daemon that dies before or in the middle of its answer is unreachable, yet not absent', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'POST /v1/services/start': (response) => response.destroy(),
    'GET /v1/services': (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"services":');
      setImmediate(() => response.destroy());
    },
  });
  const client = clientOf(home);
  const died = (error: unknown) => (error as { code: string }).code === 'DaemonUnreachable' && !isDaemonAbsent(error);
  await assert.rejects(client.start({ names: [], group: null, config: configOf([]) }), died);
  await assert.rejects(client.services({ names: [], group: null }), died);
});

test('a daemon that does not answer in time is a CallTimeout', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, { 'GET /v1/daemon': () => {} });
  const client = new DaemonClient(new HomePaths(home).socket, 20);
  await assert.rejects(client.daemon(), { code: 'CallTimeout' });
});

test('events come one by one, however they are cut into chunks', async (t) => {
  const home = await makeTempDir(t);
  const events = [
    { type: 'service', service: makeService({ detail: 'zählt bis drei' }) },
    { type: 'removed', name: 'web' },
  ];
  await startFakeDaemon(t, home, {
    'GET /v1/events': async (response) => {
      response.writeHead(200);
      const bytes = Buffer.from(`${events.map((event) => JSON.stringify(event)).join('\n')}\n`);
      for (const byte of bytes) {
        if (!response.write(Buffer.of(byte))) await once(response, 'drain');
      }
      response.end();
    },
  });
  const received = [];
  for await (const event of await clientOf(home).events(new AbortController().signal)) received.push(event);
  assert.deepEqual(received, events);
});

test('a filter becomes parameters of the query', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end() });
  const query = { services: [], streams: ['stdout'], tail: null, follow: false } as const;
  const sinceMs = Date.parse('2026-11-23T08:00:00.123Z');
  const grep = { source: 'a&b+ ü', ignoreCase: true };
  await buffer(clientOf(home).logs({ ...query, filter: { sinceMs, untilMs: sinceMs + 1, grep } }));
  await buffer(clientOf(home).logs({ ...query, filter: { sinceMs: null, untilMs: null, grep: null } }));
  const [url, plain] = daemon.requests.map((request) => new URL(request.url, 'http://localhost').searchParams);
  assert.deepEqual(Object.fromEntries(url!), {
    stream: 'stdout',
    since: '2026-11-23T08:00:00.123Z',
    until: '2026-11-23T08:00:00.124Z',
    grep: 'a&b+ ü',
    ignore_case: 'true',
  });
  assert.deepEqual(Object.fromEntries(plain!), { stream: 'stdout' });
});

test('logs are requested by name, stream and tail, and come as bytes', async (t) => {
  const home = await makeTempDir(t);
  const bytes = Buffer.from([0, 255, 254, 10]);
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end(bytes) });
  const query = { services: ['web', 'db'], streams: ['stdout', 'console'], tail: 5, follow: true } as const;
  assert.deepEqual(await buffer(clientOf(home).logs(query)), bytes);
  await buffer(clientOf(home).logs({ services: [], streams: ['stderr'], tail: null, follow: false }));
  assert.deepEqual(
    daemon.requests.map(({ url }) => url),
    ['/v1/logs?name=web&name=db&stream=stdout&stream=console&tail=5&follow=true', '/v1/logs?stream=stderr'],
  );
});
