import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { MAX_SOCKET_PATH_BYTES } from '../../../src/state/paths.ts';
import { listenPrivately } from '../../../workers/api/socket.ts';
import { startApi } from '../../helpers/api/harness.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('the socket is of mode 0600 and nothing else stays beside it', async (t) => {
  const { socketPath } = await startApi(t);
  const stat = statSync(socketPath);
  assert.ok(stat.isSocket());
  assert.equal((stat.mode & 0o777).toString(8), '600');
  assert.deepEqual(readdirSync(dirname(socketPath)), ['daemon.sock']);
});

test('until it is of mode 0600, only its owner can reach the socket', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'daemon.sock');
  const server = createServer();
  t.after(() => server.close());
  const seen: { folderMode: string; inPlace: boolean }[] = [];
  server.on('listening', () => {
    seen.push({
      folderMode: (statSync(join(dir, '.sock')).mode & 0o777).toString(8),
      inPlace: existsSync(path),
    });
  });
  await listenPrivately(server, path);
  assert.deepEqual(seen, [{ folderMode: '700', inPlace: false }]);
});

test('what a killed daemon left is replaced', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'daemon.sock');
  writeFileSync(path, 'stale');
  mkdirSync(join(dir, '.sock'));
  writeFileSync(join(dir, '.sock', 's'), 'stale');
  const server = createServer();
  t.after(() => server.close());
  await listenPrivately(server, path);
  assert.ok(statSync(path).isSocket());
});

test('the longest path that a socket can have is fine, a longer one is an error', async (t) => {
  const dir = await makeTempDir(t);
  const padding = 'x'.repeat(MAX_SOCKET_PATH_BYTES - dir.length - '//daemon.sock'.length);
  const longest = join(dir, padding, 'daemon.sock');
  assert.equal(longest.length, MAX_SOCKET_PATH_BYTES);
  mkdirSync(dirname(longest));
  const server = createServer();
  t.after(() => server.close());
  await listenPrivately(server, longest);
  assert.ok(statSync(longest).isSocket());
});

test('a folder that is not there is a HomeUnusable error', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'nowhere', 'daemon.sock');
  await assert.rejects(listenPrivately(createServer(), path), { code: 'HomeUnusable' });
});

test('close ends open streams in order and removes the socket', async (t) => {
  const { api, open, socketPath } = await startApi(t, {
    control: { services: async () => [] },
    logs: { read: async (_query, port) => void port.on('message', () => {}) },
  });
  const streams = [await open('/v1/events'), await open('/v1/logs?follow=true')];
  const bodies = streams.map((stream) => text(stream));
  await api.close();
  assert.deepEqual(await Promise.all(bodies), ['', '']);
  assert.equal(existsSync(socketPath), false);
});

test('close lets an answer that is due go out', async (t) => {
  let finish = () => {};
  let onCall = () => {};
  const called = new Promise<void>((resolve) => {
    onCall = resolve;
  });
  const { api, ask } = await startApi(t, {
    control: {
      stopDaemon() {
        onCall();
        return new Promise<void>((resolve) => {
          finish = resolve;
        });
      },
    },
  });
  const answer = ask('POST', '/v1/daemon/stop');
  await called;
  const closed = api.close();
  finish();
  assert.equal((await answer).status, 200);
  await closed;
});

test('close lets a client that reads slowly have the rest of its stream', async (t) => {
  const { api, open } = await startApi(t, { control: { services: async () => [] } });
  const message = await open('/v1/events');
  const name = 'x'.repeat(2 ** 20);
  await api.publish([{ type: 'removed', name }]);
  const closed = api.close();
  assert.deepEqual(JSON.parse(await text(message)), { type: 'removed', name });
  await closed;
});

test('close cuts off a client that never reads', async (t) => {
  const { api, open } = await startApi(t, { control: { services: async () => [] } });
  const message = await open('/v1/events');
  await api.publish([{ type: 'removed', name: 'x'.repeat(2 ** 20) }]);
  await api.close();
  await assert.rejects(text(message), { code: 'ECONNRESET' });
});
