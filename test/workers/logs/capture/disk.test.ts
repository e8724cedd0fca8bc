import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { DEFAULT_LOG_SETTINGS } from '../../../../src/protocol/log-settings.ts';
import type { LogEvent, LogsApi } from '../../../../src/protocol/logs.ts';
import { transfer } from '../../../../src/threads/rpc.ts';
import { WorkerThread } from '../../../../src/threads/worker-thread.ts';
import { call, Disk } from '../../../../workers/logs/capture/disk.ts';
import { mountFreezableDisk } from '../../../helpers/disks/freezable-disk.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { contentOf, EventLog, linesOf, TestReader, TestStream } from '../../../helpers/logs/harness.ts';
import { openStream } from '../../../helpers/logs/open-stream.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';

test('a disk that does not respond blocks the streams on it and no others', async (t) => {
  const disk = await mountFreezableDisk(t);
  const dir = await makeTempDir(t);
  const logDir = join(dir, 'log');
  mkdirSync(logDir);
  // The file of one stream is on the other disk.
  const far = join(disk.dir, 'far.log');
  writeFileSync(far, '');
  symlinkSync(far, join(logDir, 'far.stdout.000001.log'));

  const log = new EventLog();
  const thread = new WorkerThread<LogsApi, LogEvent>({
    entry: 'logs',
    data: () => ({ data: { logDir } }),
    deadlines: { defaultMs: 20_000 },
    onEvent: log.post,
  });
  defer(t, () => thread.stop());
  defer(t, () => disk.thaw());
  await thread.start();
  const api = await thread.ready();
  const open = async (service: string) => {
    const source = new TestStream(join(dir, `${service}.fifo`));
    defer(t, () => source.end());
    await openStream(api, { service, stream: 'stdout', fd: source.fd, settings: DEFAULT_LOG_SETTINGS });
    return source;
  };
  const [slow, quick] = [await open('far'), await open('near')];
  const { port1, port2 } = new MessageChannel();
  const follower = new TestReader(port1);
  defer(t, () => port1.close());
  await api.read({ services: [], streams: ['stdout'], tail: null, follow: true }, transfer(port2, [port2]));

  // The first time nobody can know: the whole thread waits.
  disk.freeze();
  await slow.write('one\n');
  await quick.write('waits\n');
  const before = performance.now();
  await eventually('a while', () => performance.now() - before > 200);
  assert.equal(contentOf(logDir, 'near', 'stdout'), '');
  disk.thaw();
  await follower.until(({ text }) => text.includes('one') && text.includes('waits'));

  disk.freeze();
  await slow.write('two\n');
  for (let line = 0; line < 100; line += 1) {
    await quick.write(`line ${line}\n`);
    await follower.until(({ text }) => text.includes(`line ${line}\n`));
  }
  assert.equal(linesOf(readFileSync(far, 'latin1')).length, 1);
  disk.thaw();
  await follower.until(({ text }) => text.includes('two\n'));
  await slow.end();
  await quick.end();
  await eventually('both ends', () => log.types().filter((type) => type === 'stream-ended').length === 2);
  assert.deepEqual(linesOf(readFileSync(far, 'latin1')), ['one', 'two']);
});

function setUpListings() {
  const listed: string[] = [];
  const disk = new Disk(({ args }) => {
    const path = String(args[0]);
    listed.push(path);
    if (path === '/missing') throw new Error('ENOENT');
    return [`${path}/web.stdout.log`];
  });
  const list = (path: string) => disk.runNow(call('readdir', path));
  return { disk, list, listed };
}

test('streams opened together list each folder once', () => {
  const { disk, list, listed } = setUpListings();
  const names = disk.shareListings(() => [list('/logs'), list('/other'), list('/logs')]);
  assert.deepEqual(names, [['/logs/web.stdout.log'], ['/other/web.stdout.log'], ['/logs/web.stdout.log']]);
  assert.deepEqual(listed, ['/logs', '/other']);
});

test('a stream opened alone or later sees the folder as it is then', () => {
  const { disk, list, listed } = setUpListings();
  list('/logs');
  disk.shareListings(() => list('/logs'));
  disk.shareListings(() => list('/logs'));
  list('/logs');
  assert.equal(listed.length, 4);
});

test('a failed listing is retried and not cached', () => {
  const { disk, list, listed } = setUpListings();
  assert.throws(() =>
    disk.shareListings(() => {
      assert.throws(() => list('/missing'));
      list('/logs');
      list('/missing');
    }),
  );
  list('/logs');
  assert.deepEqual(listed, ['/missing', '/logs', '/missing', '/logs']);
});
