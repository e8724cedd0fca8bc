import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { MetricsThread } from '../../src/metrics/metrics-thread.ts';
import type { Metrics } from '../../src/protocol/service.ts';
import { startFixture } from '../helpers/processes/fixture.ts';

/** Samples as they come; each promise is of one that is asked for before it comes. */
function sampleReceiver() {
  let onNext: (metrics: Metrics) => void = () => {};
  return {
    onSample: (metrics: Metrics) => onNext(metrics),
    next: () =>
      new Promise<Metrics>((resolve) => {
        onNext = resolve;
      }),
  };
}

test('each service gets its own samples, also from a worker that was started again', async (t) => {
  const reports: string[] = [];
  const metrics = new MetricsThread((level, message) => reports.push(`${level}: ${message}`));
  t.after(() => metrics.thread.stop());
  await metrics.thread.start();
  const [own, other, left] = [sampleReceiver(), sampleReceiver(), sampleReceiver()];
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  metrics.watch('own', process.pid, own.onSample);
  metrics.watch('other', idle.pid, other.onSample);
  metrics.watch('left', process.pid, left.onSample);
  const [ownSample, otherSample] = await Promise.all([own.next(), other.next(), left.next()]);
  assert.ok(ownSample.memory_usage! > otherSample.memory_usage!);

  metrics.unwatch('left');
  left.next().then(() => assert.fail('an unwatched service was sampled'));
  await metrics.thread.crash();
  await metrics.thread.ready();
  assert.ok((await own.next()).memory_usage! > 0);
  assert.match(reports[0]!, /^error: the metrics thread ended: .*; restarting it$/);
  metrics.unwatch('never watched');
});

/** A server that accepts and says nothing. */
async function startSilentServer(t: TestContext) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, sockets, port: (server.address() as { port: number }).port };
}

async function startThread(t: TestContext) {
  const metrics = new MetricsThread(() => {});
  t.after(() => metrics.thread.stop());
  await metrics.thread.start();
  return metrics;
}

const NEVER = new AbortController().signal;

test('a port is asked in the worker', async (t) => {
  const metrics = await startThread(t);
  const { port } = await startSilentServer(t);
  assert.deepEqual(await metrics.probe({ type: 'tcp', port }, 5000, NEVER), { ok: true, detail: 'connected' });
  const silent = await metrics.probe({ type: 'http', port, path: '/' }, 100, NEVER);
  assert.deepEqual(silent, { ok: false, detail: 'no answer in 100ms' });
});

test('a probe that is called off has closed its connection when it answers', async (t) => {
  const metrics = await startThread(t);
  const { server, sockets, port } = await startSilentServer(t);
  const cancel = new AbortController();
  const result = metrics.probe({ type: 'http', port, path: '/' }, 60_000, cancel.signal);
  await once(server, 'connection');
  const closed = once(sockets[0]!.resume(), 'close');
  cancel.abort();
  assert.deepEqual(await result, { ok: false, detail: 'cancelled' });
  await closed;
  const late = await metrics.probe({ type: 'tcp', port }, 60_000, cancel.signal);
  assert.deepEqual(late, { ok: false, detail: 'cancelled' });
});

test('a worker that dies is no failure of the service: the next one asks again', async (t) => {
  const metrics = await startThread(t);
  const { server, sockets, port } = await startSilentServer(t);
  const result = metrics.probe({ type: 'http', port, path: '/health' }, 60_000, NEVER);
  await once(server, 'connection');
  await metrics.thread.crash();
  await once(server, 'connection');
  sockets[1]!.end('HTTP/1.1 204 No Content\r\n\r\n');
  assert.deepEqual(await result, { ok: true, detail: 'status 204' });
});

test('without a worker a probe is a failure with that reason', async (t) => {
  const metrics = await startThread(t);
  const { port } = await startSilentServer(t);
  await metrics.thread.stop();
  const { ok, detail } = await metrics.probe({ type: 'tcp', port }, 60_000, NEVER);
  assert.deepEqual([ok, detail], [false, 'the metrics thread was stopped']);
});

test('a probe that is under way when the worker is stopped ends as a failure', async (t) => {
  const metrics = await startThread(t);
  const { server, port } = await startSilentServer(t);
  const result = metrics.probe({ type: 'http', port, path: '/' }, 60_000, NEVER);
  await once(server, 'connection');
  await metrics.thread.stop();
  const { ok, detail } = await result;
  assert.deepEqual([ok, detail], [false, 'the metrics thread was stopped']);
});
