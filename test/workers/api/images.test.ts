import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import test from 'node:test';
import type { MessagePort } from 'node:worker_threads';
import { MonocoreError, toWireError } from '../../../src/lib/errors.ts';
import type { ControlApi } from '../../../src/protocol/api.ts';
import type { ErrorReply } from '../../../src/protocol/http.ts';
import type { ImageReply, StoredImage } from '../../../src/protocol/images.ts';
import { startApi } from '../../helpers/api/harness.ts';
import { gate } from '../../helpers/fakes/fake-context.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const STORED: StoredImage = { name: 'docker.io/library/app:latest', digest: DIGEST, unchanged: false };
const UNAVAILABLE = toWireError(new MonocoreError('ImageUnavailable', 'there is no app'));

/** A main thread that answers each pull and load with these lines. */
function answering(...replies: readonly ImageReply[]): Partial<ControlApi> {
  const answer = async (_request: unknown, port: MessagePort) => {
    for (const reply of replies) port.postMessage(reply);
    port.close();
  };
  return { pullImages: answer, loadImages: answer };
}

const linesOf = (body: string) =>
  body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ImageReply);

test('a pull is answered with a line for each event and one for the outcome', async (t) => {
  const replies: ImageReply[] = [
    { type: 'image', name: STORED.name },
    { type: 'blob', digest: DIGEST, size_bytes: 5, present: false },
    { type: 'bytes', digest: DIGEST, done_bytes: 5 },
    { type: 'stored', image: STORED },
    { type: 'done', images: [STORED] },
  ];
  const { ask } = await startApi(t, { control: answering(...replies) });
  const { status, body } = await ask('POST', '/v1/images/pull', { names: ['app'] });
  assert.deepEqual([status, linesOf(body)], [200, replies]);
});

test('an error before the first event sets the status; a later one is the last line', async (t) => {
  const error: ImageReply = { type: 'error', error: UNAVAILABLE };
  const early = await startApi(t, { control: answering(error) });
  const refused = await early.ask('POST', '/v1/images/load', { path: '/a.tar' });
  assert.deepEqual([refused.status, (refused.json as ErrorReply).error], [502, UNAVAILABLE]);
  const late = await startApi(t, { control: answering({ type: 'waiting' }, error) });
  const { status, body } = await late.ask('POST', '/v1/images/pull', { names: ['app'] });
  assert.deepEqual([status, linesOf(body)], [200, [{ type: 'waiting' }, error]]);
});

test('a client that disconnects cancels its pull, before the first event and after it', async (t) => {
  for (const replies of [[], [{ type: 'waiting' }]]) {
    let port!: MessagePort;
    const asked = gate();
    const pullImages: ControlApi['pullImages'] = async (_request, given) => {
      for (const reply of replies) given.postMessage(reply);
      port = given;
      asked.open();
    };
    const { socketPath, ask } = await startApi(t, { control: { pullImages } });
    const outgoing = request({ socketPath, method: 'POST', path: '/v1/images/pull', agent: false });
    outgoing.on('error', () => {}).end(JSON.stringify({ names: ['app'] }));
    await asked.opened;
    if (replies.length > 0) await once(outgoing, 'response');
    const closed = once(port, 'close');
    outgoing.destroy();
    await closed;
    assert.equal((await ask('GET', '/v1/images')).status, 200, 'the server goes on');
  }
});

test('a pull that the main thread abandons leaves an answer without an outcome', async (t) => {
  const { ask } = await startApi(t, { control: answering() });
  const { status, json } = await ask('POST', '/v1/images/pull', { names: ['app'] });
  assert.deepEqual([status, (json as ErrorReply).error.code], [503, 'ThreadDied']);
  const cut = await startApi(t, { control: answering({ type: 'waiting' }) });
  await assert.rejects(cut.ask('POST', '/v1/images/pull', { names: ['app'] }), { code: 'ECONNRESET' });
});

test('requests get their defaults and are checked against their bounds', async (t) => {
  const calls: unknown[] = [];
  const { ask } = await startApi(t, {
    control: {
      pullImages: async (asked, port) => {
        calls.push(asked);
        port.postMessage({ type: 'done', images: [] });
        port.close();
      },
      removeImages: async (asked) => {
        calls.push(asked);
        return { removed: [STORED.name], freed_bytes: 7 };
      },
    },
  });
  assert.equal((await ask('POST', '/v1/images/pull', { names: ['app'] })).status, 200);
  const removed = await ask('POST', '/v1/images/remove', { names: ['app'] });
  assert.deepEqual(removed.json, { removed: [STORED.name], freed_bytes: 7 });
  assert.deepEqual((await ask('POST', '/v1/images/prune')).json, { removed: [], freed_bytes: 0 });
  assert.deepEqual(calls, [
    {
      names: ['app'],
      insecure_loopback: false,
      insecure_registries: [],
      max_image_size_bytes: 16 * 2 ** 30,
      docker_config: null,
      proxies: null,
    },
    { names: ['app'] },
  ]);
  const faults: [string, unknown][] = [
    ['pull', {}],
    ['pull', { names: [] }],
    ['pull', { names: [''] }],
    ['pull', { names: Array.from({ length: 1001 }, () => 'app') }],
    ['pull', { names: ['a'.repeat(5000)] }],
    ['pull', { names: ['app'], docker_config: 'config.json' }],
    ['pull', { names: ['app'], max_image_size_bytes: 0.5 }],
    ['load', { path: 'a.tar' }],
    ['load', { path: '/a\0.tar' }],
    ['load', {}],
    ['remove', { names: [] }],
  ];
  for (const [route, body] of faults) {
    const { status } = await ask('POST', `/v1/images/${route}`, body);
    assert.equal(status, 400, `${route} ${JSON.stringify(body).slice(0, 100)}`);
  }
});
