import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import type { LogEvent, LogsApi, LogsReadApi } from '../../src/protocol/logs.ts';
import { transfer, wrap } from '../../src/threads/rpc.ts';
import { WorkerThread } from '../../src/threads/worker-thread.ts';
import { contentOf, EventLog, linesOf, TestReader, TestStream } from '../helpers/logs/harness.ts';
import { openStream } from '../helpers/logs/open-stream.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('the worker captures, finds the marker and serves readers, in a thread of its own', async (t) => {
  const dir = await makeTempDir(t);
  const logDir = join(dir, 'log');
  const log = new EventLog();
  const thread = new WorkerThread<LogsApi, LogEvent>({
    entry: 'logs',
    data: () => ({ data: { logDir } }),
    deadlines: { defaultMs: 10_000 },
    onEvent: log.post,
  });
  t.after(() => thread.stop());
  await thread.start();
  const api = await thread.ready();

  const source = new TestStream(join(dir, 'stdout.fifo'));
  t.after(() => source.end());
  const stream = { service: 'web', stream: 'stdout' } as const;
  await openStream(api, { ...stream, fd: source.fd, settings: { ...DEFAULT_LOG_SETTINGS, max_size_bytes: 1000 } });
  await assert.rejects(api.expectMarker('web', 'stdout', ''), { code: 'Internal' });
  await api.expectMarker('web', 'stdout', 'END\n');

  const query = { services: ['web'], streams: ['stdout' as const], tail: null };
  const direct = new MessageChannel();
  const follower = new TestReader(direct.port1);
  await api.read({ ...query, follow: true }, transfer(direct.port2, [direct.port2]));

  const lines = Array.from({ length: 500 }, (_, index) => `line ${index}`);
  await source.write(`${lines.join('\n')}END\nafter\n`);
  await log.next('marker-seen');
  await source.end();
  const { bytes } = await log.next('stream-ended');
  assert.equal(bytes, `${lines.join('\n')}after\n`.length);
  assert.deepEqual(linesOf(contentOf(logDir, 'web', 'stdout')), [...lines, 'after']);

  const other = new MessageChannel();
  t.after(() => other.port1.close());
  await api.connect(transfer(other.port2, [other.port2]));
  const { remote } = wrap<LogsReadApi>('logs', other.port1, { defaultMs: 10_000 });
  const reading = new MessageChannel();
  const reader = new TestReader(reading.port1);
  await remote.read({ ...query, tail: 2, follow: false }, transfer(reading.port2, [reading.port2]));
  assert.deepEqual(linesOf(await reader.ended()), ['line 499', 'after']);

  await thread.stop((remaining) => remaining.close());
  assert.deepEqual(linesOf(await follower.ended()), [...lines, 'after']);
});
