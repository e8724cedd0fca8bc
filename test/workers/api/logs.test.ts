import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MonocoreError, toWireError, type WireError } from '../../../src/lib/errors.ts';
import { ERROR_TRAILER } from '../../../src/protocol/http.ts';
import { CHUNK_BYTES, type LogQuery, type LogReadEvent, READ_WINDOW } from '../../../src/protocol/log-files/queries.ts';
import { expose } from '../../../src/threads/rpc.ts';
import { startApi } from '../../helpers/api/harness.ts';

/** A reader as the log worker has them: never more than the window on its way. Sends `total` chunks, then the end. */
function makeReader(total: number) {
  const state = { sent: 0, largestUnconfirmed: 0, closed: false };
  const read = async (_: LogQuery, port: MessagePort) => {
    let unconfirmed = 0;
    const pump = () => {
      while (unconfirmed < READ_WINDOW && state.sent < total) {
        const bytes = new Uint8Array(CHUNK_BYTES).fill(state.sent % 256);
        unconfirmed += 1;
        state.sent += 1;
        port.postMessage({ type: 'chunk', bytes } satisfies LogReadEvent, [bytes.buffer]);
        state.largestUnconfirmed = Math.max(state.largestUnconfirmed, unconfirmed);
      }
      if (state.sent === total) port.postMessage({ type: 'end' } satisfies LogReadEvent);
    };
    port.on('message', (message) => {
      assert.ok(message instanceof ArrayBuffer && message.byteLength === CHUNK_BYTES);
      unconfirmed -= 1;
      pump();
    });
    port.once('close', () => {
      state.closed = true;
    });
    pump();
  };
  return { state, read };
}

/** A log worker that tells of each reader: what was asked, and the port to it. */
function makeManualLogs() {
  const readers: { query: LogQuery; port: MessagePort }[] = [];
  const send = (event: LogReadEvent) => readers.at(-1)!.port.postMessage(event);
  return {
    readers,
    send,
    sendText: (line: string) => send({ type: 'chunk', bytes: new TextEncoder().encode(line) }),
    read: async (query: LogQuery, port: MessagePort) => {
      port.on('message', () => {});
      readers.push({ query, port });
    },
  };
}

test('the query reaches the log worker with its defaults filled in', async (t) => {
  const logs = makeManualLogs();
  const { open } = await startApi(t, { logs });
  await open('/v1/logs');
  await open('/v1/logs?name=web&name=web&stream=console&stream=console&tail=100&follow=true');
  assert.deepEqual(
    logs.readers.map(({ query }) => query),
    [
      { services: ['db', 'web'], streams: ['stdout', 'stderr'], tail: null, follow: false },
      { services: ['web'], streams: ['console'], tail: 100, follow: true },
    ],
  );
});

test('times and a pattern are checked at the door and reach the log worker', async (t) => {
  const logs = makeManualLogs();
  const { ask, open } = await startApi(t, { logs });
  const sinceMs = Date.parse('2026-11-23T08:00:00.000Z');
  await open(`/v1/logs?since=2026-11-23T09:00:00%2B01:00&until=${sinceMs + 5}`);
  await open('/v1/logs?grep=%5Ea%2B&ignore_case=true');
  await open('/v1/logs?grep=x&ignore_case=false');
  assert.deepEqual(
    logs.readers.map(({ query }) => query.filter),
    [
      { sinceMs, untilMs: sinceMs + 5, grep: null },
      { sinceMs: null, untilMs: null, grep: { source: '^a+', ignoreCase: true } },
      { sinceMs: null, untilMs: null, grep: { source: 'x', ignoreCase: false } },
    ],
  );
  for (const [query, message] of [
    ['since=yesterday', /since: Neither RFC 3339/],
    ['since=2026-11-23T08:00:00', /since: Neither/],
    ['until=999999999999999', /until: After the year 9999/],
    ['since=5&until=4', /since is after until/],
    ['since=1&since=2', /since: Given more than once/],
    ['grep=(', /grep: .*Unterminated group/],
    ['grep=', /grep: Empty pattern/],
    [`grep=${'x'.repeat(5000)}`, /grep: Too long/],
    ['grep=x&ignore_case=yes', /ignore_case/],
  ] as const) {
    const { status, json } = await ask('GET', `/v1/logs?${query}`);
    const { error } = json as { error: { code: string; message: string } };
    assert.deepEqual([status, error.code], [400, 'Usage'], query);
    assert.match(error.message, message);
  }
});

test('chunks come out byte for byte as they came in, and the answer ends when the log does', async (t) => {
  const logs = makeManualLogs();
  const { open } = await startApi(t, { logs });
  const message = await open('/v1/logs?name=web');
  assert.equal(message.headers['content-type'], 'text/plain; charset=utf-8');
  logs.sendText('one\n');
  logs.send({ type: 'chunk', bytes: Uint8Array.from([0xff, 0x00, 0x0a]) });
  logs.send({ type: 'end' });
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), Buffer.from([...Buffer.from('one\n'), 0xff, 0x00, 0x0a]));
});

test('a follower gets each record when it is written', async (t) => {
  const logs = makeManualLogs();
  const { open } = await startApi(t, { logs });
  const message = await open('/v1/logs?follow=true');
  for (const line of ['one\n', 'two\n']) {
    logs.sendText(line);
    const [chunk] = await once(message, 'data');
    assert.equal(String(chunk), line);
  }
});

test('a client that does not read holds the reader back, and gets everything in the end', async (t) => {
  const total = 400;
  const { state, read } = makeReader(total);
  const { ask, open } = await startApi(t, { logs: { read } });
  const message = await open('/v1/logs?name=web');
  // The client pauses; the server has time for everything it would do meanwhile.
  for (let turn = 0; turn < 50; turn += 1) await ask('GET', '/v1/daemon');
  assert.ok(state.sent < 32, `${state.sent} chunks left the log worker`);
  let received = 0;
  for await (const chunk of message) {
    for (const byte of chunk as Buffer) {
      if (byte !== Math.floor(received / CHUNK_BYTES) % 256) assert.fail(`byte ${received} is out of order`);
      received += 1;
    }
  }
  assert.equal(received, total * CHUNK_BYTES);
  assert.ok(state.largestUnconfirmed <= READ_WINDOW);
});

test('a client that leaves ends its reader', async (t) => {
  const logs = makeManualLogs();
  const { open } = await startApi(t, { logs });
  const message = await open('/v1/logs?follow=true');
  const closed = once(logs.readers[0]!.port, 'close');
  message.destroy();
  await closed;
});

test('a client that leaves in the middle of a chunk ends its reader', async (t) => {
  const { state, read } = makeReader(10_000);
  let readerClosed = Promise.resolve();
  const { open } = await startApi(t, {
    logs: {
      async read(query, port) {
        readerClosed = once(port, 'close').then(() => {});
        await read(query, port);
      },
    },
  });
  const message = await open('/v1/logs');
  await once(message, 'data');
  message.destroy();
  await readerClosed;
  assert.ok(state.closed);
});

test('an error of the log worker is answered before anything is sent', async (t) => {
  let readerEnded: Promise<unknown> | null = null;
  const { ask } = await startApi(t, {
    logs: {
      async read(_query, readerPort) {
        readerEnded = once(readerPort, 'close');
        throw new MonocoreError('HomeUnusable', 'the log folder is gone');
      },
    },
  });
  const { status, json } = await ask('GET', '/v1/logs');
  assert.equal(status, 500);
  assert.equal((json as { error: { code: string } }).error.code, 'HomeUnusable');
  await readerEnded;
});

test('logs of an unknown service are answered 404', async (t) => {
  const { ask } = await startApi(t);
  assert.equal((await ask('GET', '/v1/logs?name=nobody')).status, 404);
});

test('a failure later cuts the answer off, so that it is not taken for the whole', async (t) => {
  const logs = makeManualLogs();
  const { open } = await startApi(t, { logs });
  for (const fail of [
    () => logs.send({ type: 'error', error: toWireError(new MonocoreError('Internal', 'the disk is gone')) }),
    () => logs.readers.at(-1)!.port.close(),
  ]) {
    const message = await open('/v1/logs');
    logs.sendText('one\n');
    await once(message, 'data');
    fail();
    await assert.rejects(text(message), { code: 'ECONNRESET' });
  }
});

test('a client that takes trailers is told why a later failure ended its answer', async (t) => {
  const logs = makeManualLogs();
  const { socketPath } = await startApi(t, { logs });
  for (const [fail, code, message] of [
    [
      () =>
        logs.send({ type: 'error', error: toWireError(new MonocoreError('Aborted', '50 % of the disk is gone: ü')) }),
      ...['Aborted', '50 % of the disk is gone: ü'],
    ],
    [() => logs.readers.at(-1)!.port.close(), 'ThreadDied', /the log worker ended/],
  ] as const) {
    const outgoing = request({ socketPath, path: '/v1/logs', agent: false, headers: { te: 'deflate, trailers' } });
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    assert.equal(answer.headers.trailer, ERROR_TRAILER);
    logs.sendText('one\n');
    await once(answer, 'data');
    fail();
    await text(answer);
    const error = JSON.parse(decodeURIComponent(answer.trailers[ERROR_TRAILER]!)) as WireError;
    assert.equal(error.code, code);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
  }
});

test('after the log worker was started again its new port is used', async (t) => {
  const { api, ask, logsPort } = await startApi(t, { logs: { read: () => new Promise(() => {}) } });
  const pending = ask('GET', '/v1/logs');
  await ask('GET', '/v1/daemon');
  logsPort.close();
  assert.equal((await pending).status, 503);
  assert.equal((await ask('GET', '/v1/logs')).status, 503);
  const { port1, port2 } = new MessageChannel();
  expose({ read: makeReader(1).read }, port2);
  await api.connectLogs(port1);
  const { status, body } = await ask('GET', '/v1/logs');
  assert.deepEqual([status, body.length], [200, CHUNK_BYTES]);
});
