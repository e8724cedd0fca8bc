import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import type { ControlEvent } from '../../../src/protocol/api.ts';
import type { ServiceStatus } from '../../../src/protocol/service.ts';
import { EventHub } from '../../../workers/api/event-hub.ts';
import { OpenAnswers } from '../../../workers/api/open-answers.ts';
import { makeStatus, startApi } from '../../helpers/api/harness.ts';

/** Reads events one by one; undefined after the last. */
function readEvents(message: IncomingMessage) {
  const lines = createInterface({ input: message })[Symbol.asyncIterator]();
  return async (): Promise<ControlEvent | undefined> => {
    const { value } = await lines.next();
    return value === undefined ? undefined : JSON.parse(value);
  };
}

const started = (name: string): ControlEvent => ({ type: 'service', service: makeStatus(name, { status: 'Started' }) });

test('a client gets each known service first, then every event in order', async (t) => {
  const { api, open } = await startApi(t);
  const message = await open('/v1/events');
  assert.equal(message.headers['content-type'], 'application/x-ndjson');
  const next = readEvents(message);
  assert.deepEqual(await next(), { type: 'service', service: makeStatus('db') });
  assert.deepEqual(await next(), { type: 'service', service: makeStatus('web', { group: 'front' }) });
  const events: ControlEvent[] = [started('db'), { type: 'removed', name: 'db' }, started('web')];
  for (const event of events) await api.publish([event]);
  assert.deepEqual([await next(), await next(), await next()], events);
});

test('an event that is published while the services are being asked for is not lost', async (t) => {
  let answer = (_: readonly ServiceStatus[]) => {};
  let onAsked = () => {};
  const asked = new Promise<void>((resolve) => {
    onAsked = resolve;
  });
  const { api, open } = await startApi(t, {
    control: {
      services() {
        onAsked();
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    },
  });
  const opening = open('/v1/events');
  await asked;
  await api.publish([started('web')]);
  answer([makeStatus('web')]);
  const next = readEvents(await opening);
  assert.deepEqual(await next(), { type: 'service', service: makeStatus('web') });
  assert.deepEqual(await next(), started('web'));
});

test('the headers come at once, even when no service is known', async (t) => {
  const { open } = await startApi(t, { control: { services: async () => [] } });
  assert.equal((await open('/v1/events')).statusCode, 200);
});

test('every client gets every event, and one that leaves is forgotten', async (t) => {
  const { api, open } = await startApi(t, { control: { services: async () => [] } });
  const [staying, leaving] = [await open('/v1/events'), await open('/v1/events')];
  const [nextOfStaying, nextOfLeaving] = [readEvents(staying), readEvents(leaving)];
  await api.publish([started('a')]);
  assert.deepEqual(await nextOfStaying(), started('a'));
  assert.deepEqual(await nextOfLeaving(), started('a'));
  leaving.destroy();
  await api.publish([started('b')]);
  assert.deepEqual(await nextOfStaying(), started('b'));
});

test('a client that does not read is cut off while others go on', async (t) => {
  const { api, ask, open } = await startApi(t, { control: { services: async () => [] } });
  const [slow, quick] = [await open('/v1/events'), await open('/v1/events')];
  const next = readEvents(quick);
  const bulky: ControlEvent = { type: 'service', service: makeStatus('web', { error: 'x'.repeat(100_000) }) };
  for (let count = 0; count < 200; count += 1) {
    await api.publish([bulky]);
    assert.deepEqual(await next(), bulky);
  }
  let receivedBytes = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of slow) receivedBytes += chunk.length;
    },
    { code: 'ECONNRESET' },
  );
  // 4 MiB wait in the process at most; the kernel's socket buffers hold some more.
  assert.ok(receivedBytes < 8 * 2 ** 20, `${receivedBytes} bytes were kept for it`);
  assert.equal((await ask('GET', '/v1/daemon')).status, 200);
});

test('a client is cut off when too many events come before it can be served, too', async () => {
  const outgoing = new PassThrough() as unknown as ServerResponse;
  const hub = new EventHub(new OpenAnswers(), 1000);
  void hub.add(outgoing, () => new Promise(() => {}));
  const closed = once(outgoing as unknown as PassThrough, 'close');
  for (let count = 0; count < 10; count += 1) hub.publish(started('web'));
  await closed;
  assert.equal(hub.size, 0);
});

test('a client is told when the services cannot be listed, and is forgotten', async (t) => {
  const { ask } = await startApi(t, {
    control: {
      async services() {
        throw new Error('broken');
      },
    },
  });
  const { status, json } = await ask('GET', '/v1/events');
  assert.equal(status, 500);
  assert.deepEqual(json, { error: { code: 'Internal', message: 'broken', details: null, cause_code: null } });
});
