/** Handover at the death of a log thread: the next thread writes what this one had read and could not write. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { LogThread } from '../../src/logs/logs-thread.ts';
import type { LogFormat } from '../../src/protocol/log-files/formats.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../../src/protocol/log-settings.ts';
import { openReadEnd } from '../../src/vm/host/fifos.ts';
import { mountSmallDisk } from '../helpers/disks/small-disk.ts';
import { eventually } from '../helpers/eventually.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { filesOf, TestStream } from '../helpers/logs/harness.ts';
import { strip } from '../helpers/logs/strip.ts';
import { openFilesBelow } from '../helpers/processes/open-files.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const MIB = 2 ** 20;
const FORMATS: readonly LogFormat[] = ['text', 'json'];
/** Death of a thread, with a last chance to post a message or without. */
const DEATHS = ['crash', 'kill'] as const;

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1} ${'x'.repeat(60)}`);

/** A stream that is captured to a disk of 1 MiB, on which `leave` says how much may still be written. */
async function setUp(t: TestContext, settings: Partial<LogSettings>) {
  const disk = await mountSmallDisk(t);
  const logDir = join(disk, 'log');
  const filler = join(disk, 'filler');
  writeFileSync(filler, Buffer.alloc(MIB - 64 * 1024));
  const logs = new LogThread(logDir, () => {});
  defer(t, () => logs.stop());
  await logs.start();
  const source = new TestStream(join(await makeTempDir(t), 'stdout.fifo'));
  defer(t, () => source.end());
  const ended = gate();
  let stalls = 0;
  let isStalled = false;
  const handlers = {
    reopen: () => openReadEnd(source.path),
    onEnded: ended.open,
    onStalled: (reason: string | null) => {
      isStalled = reason !== null;
      if (isStalled) stalls += 1;
    },
  };
  await logs.capture('web', [{ stream: 'stdout', fd: source.fd }], handlers, { ...DEFAULT_LOG_SETTINGS, ...settings });
  const dirs = [logDir];
  return {
    ...{ disk, logDir, logs, source, ended },
    /** Frees `bytes`, or all there is. */
    free(bytes: number | null) {
      if (bytes === null) rmSync(filler);
      else truncateSync(filler, MIB - 64 * 1024 - bytes);
    },
    stalled: () => eventually('the disk to be full', () => isStalled),
    async die(death: (typeof DEATHS)[number]) {
      const before = stalls;
      await logs.thread[death]();
      await logs.thread.ready();
      await eventually('the next thread to find the disk full', () => stalls > before && isStalled);
    },
    moveAway() {
      const aside = join(disk, `aside-${dirs.length}`);
      renameSync(logDir, aside);
      dirs.splice(-1, 0, aside);
    },
    /** Everything in all files, those of folders that were moved away first; each file must end in a whole record. */
    records: () =>
      dirs
        .filter((dir) => existsSync(dir))
        .flatMap((dir) => filesOf(dir, 'web', 'stdout').map((name) => readFileSync(join(dir, name), 'latin1')))
        .filter((text) => text !== ''),
  };
}

for (const format of FORMATS) {
  for (const death of DEATHS) {
    test(`${format}: no line is lost, torn or duplicated when threads die (${death}) on a full disk and the folder is moved`, {
      timeout: 60_000,
    }, async (t) => {
      const host = await setUp(t, { format, max_size_bytes: 100_000 });
      const lines = numbered(5000);
      const written = host.source.write(`${lines.join('\n')}\n`);
      await host.stalled();
      await host.die(death);
      host.moveAway();
      await host.die(death);
      const before = host.records().join('').length;
      // A page of the file that was moved, then the disk is full again, maybe in the next one.
      host.free(20_000);
      await eventually('a little more', () => host.records().join('').length > before);
      await host.die(death);
      host.moveAway();
      host.free(null);
      await written;
      await host.source.end();
      await host.ended.opened;
      assert.deepEqual(
        host.records().flatMap((text) => strip(format, text)),
        lines,
      );
      assert.ok(host.records().every((text) => !text.includes('"torn"') && !/ INFO\+ /.test(text)));
      await host.logs.stop();
      assert.equal(openFilesBelow(host.disk), 0);
    });
  }
}

/** A stream that is captured where there is space. */
async function setUpFree(t: TestContext, format: LogFormat) {
  const host = await setUp(t, { format });
  host.free(null);
  const written = () => host.records().join('');
  return { ...host, written, lines: () => strip(format, written()) };
}

for (const format of FORMATS) {
  test(`${format}: a line read in part before the thread crashes is one record`, {
    timeout: 30_000,
  }, async (t) => {
    const host = await setUpFree(t, format);
    await host.source.write('first\none\r');
    await eventually('the first line', () => host.written().includes('first'));
    await host.logs.thread.crash();
    await host.source.write('\ntwo ');
    await host.logs.thread.ready();
    await host.logs.thread.crash();
    await host.source.write('parts\n');
    await host.logs.thread.ready();
    await host.source.end();
    await host.ended.opened;
    assert.deepEqual(host.lines(), ['first', 'one', 'two parts']);
    assert.doesNotMatch(host.written(), /"partial"|"torn"| INFO\+ /);
  });

  test(`${format}: a marker read in part before the thread crashes is found`, {
    timeout: 30_000,
  }, async (t) => {
    const host = await setUpFree(t, format);
    const arrived = host.logs.awaitMarker('web', 'M4RK3R', () => void host.source.write('first\nlast wordsM4R'));
    await eventually('the first line', () => host.written().includes('first'));
    await host.logs.thread.crash();
    await host.logs.thread.ready();
    await host.source.write('K3R');
    await arrived;
    await host.source.end();
    await host.ended.opened;
    assert.deepEqual(host.lines(), ['first', 'last words']);
  });

  for (const death of DEATHS) {
    test(`${format}: the next thread (${death}) reports a marker that was read while the disk was full`, {
      timeout: 30_000,
    }, async (t) => {
      const host = await setUp(t, { format });
      const lines = numbered(500);
      let isSeen = false;
      const send = () => void host.source.write(`${lines.join('\n')}\nM4RK3R`);
      const arrived = host.logs.awaitMarker('web', 'M4RK3R', send).then(() => {
        isSeen = true;
      });
      writeFileSync(join(host.disk, 'more'), Buffer.alloc(48 * 1024));
      await host.stalled();
      await host.die(death);
      assert.equal(isSeen, false);
      host.free(null);
      await arrived;
      await host.source.end();
      await host.ended.opened;
      assert.deepEqual(strip(format, host.records().join('')), lines);
    });
  }
}

test('a file deleted with the start of a record is not waited for: its thread continues in a new one', {
  timeout: 30_000,
}, async (t) => {
  const host = await setUp(t, { format: 'text' });
  const lines = numbered(5000);
  const written = host.source.write(`${lines.join('\n')}\n`);
  await host.stalled();
  rmSync(host.logDir, { recursive: true });
  await host.logs.thread.kill();
  await eventually('a new file', () => host.records().join('').length > 0);
  host.free(null);
  await written;
  await host.source.end();
  await host.ended.opened;
  const found = host.records().join('').split('\n').slice(1, -1);
  assert.ok(found.length > 3000);
  assert.deepEqual(strip('text', `${found.join('\n')}\n`), lines.slice(-found.length));
});
