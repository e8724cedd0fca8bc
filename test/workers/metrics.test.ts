import assert from 'node:assert/strict';
import { once } from 'node:events';
import test, { type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { MetricsApi, MetricsEvent } from '../../src/protocol/metrics.ts';
import { transfer } from '../../src/threads/rpc.ts';
import { WorkerThread } from '../../src/threads/worker-thread.ts';
import { startFixture } from '../helpers/processes/fixture.ts';

async function startMetrics(t: TestContext, onEvent: (event: MetricsEvent) => void) {
  const thread = new WorkerThread<MetricsApi, MetricsEvent>({
    entry: 'metrics',
    data: () => ({ data: { intervalMs: 50 } }),
    deadlines: { defaultMs: 10_000 },
    onEvent,
  });
  await thread.start();
  t.after(() => thread.stop());
  return thread.ready();
}

test('each interval brings one batch with all watched processes, to main and to each subscriber', async (t) => {
  const fixtures = [startFixture(t, 'idle.js'), startFixture(t, 'idle.js')];
  await Promise.all(fixtures.map((fixture) => fixture.readLine()));
  let onBatch = (_: MetricsEvent) => {};
  const complete = new Promise<MetricsEvent>((resolve) => {
    onBatch = (event) => {
      if (Object.values(event.samples).length === 2 && event.samples.b?.cpu_usage !== null) resolve(event);
    };
  });
  const api = await startMetrics(t, (event) => onBatch(event));
  const { port1, port2 } = new MessageChannel();
  await api.subscribe(transfer(port2, [port2]));
  const subscribed = once(port1, 'message');
  await api.watch([{ service: 'a', pid: fixtures[0]!.pid }]);
  await api.watch([{ service: 'b', pid: fixtures[1]!.pid }]);
  const { samples } = await complete;
  assert.ok(samples.a!.memory_usage! > 0);
  const [event] = (await subscribed) as [MetricsEvent];
  assert.equal(event.type, 'samples');
  port1.close();
});

test('a process that has ended is missing from the next batch', async (t) => {
  const [gone, staying] = [startFixture(t, 'idle.js'), startFixture(t, 'idle.js')];
  await Promise.all([gone.readLine(), staying.readLine()]);
  let seen = new Set<string>();
  let onBatch = () => {};
  const nextBatch = (wanted: string) =>
    new Promise<void>((resolve) => {
      onBatch = () => {
        if ([...seen].join() === wanted) resolve();
      };
    });
  const api = await startMetrics(t, ({ samples }) => {
    seen = new Set(Object.keys(samples).sort());
    onBatch();
  });
  await api.watch([{ service: 'gone', pid: gone.pid }]);
  await api.watch([{ service: 'staying', pid: staying.pid }]);
  await nextBatch('gone,staying');
  await gone.kill();
  await nextBatch('staying');
});

test('batches go on when a subscriber has closed its port', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  let resolveBatch = () => {};
  const api = await startMetrics(t, () => resolveBatch());
  const { port1, port2 } = new MessageChannel();
  await api.subscribe(transfer(port2, [port2]));
  await api.watch([{ service: 'web', pid: idle.pid }]);
  await once(port1, 'message');
  port1.close();
  for (let batch = 0; batch < 3; batch += 1) {
    await new Promise<void>((resolve) => {
      resolveBatch = resolve;
    });
  }
});
