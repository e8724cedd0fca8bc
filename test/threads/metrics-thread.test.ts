import assert from 'node:assert/strict';
import test from 'node:test';
import type { Metrics } from '../../src/protocol/service.ts';
import { MetricsThread } from '../../src/threads/metrics-thread.ts';
import { startFixture } from '../helpers/fixture.ts';

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
  t.after(() => metrics.stop());
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
  assert.match(reports[0]!, /^error: the metrics thread ended: .*; it is started again$/);
  metrics.unwatch('never watched');
});
