import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { eventually } from '../../helpers/eventually.ts';
import { ManualClock } from '../../helpers/fakes/manual-clock.ts';
import { contentOf, linesOf, startLogs, type TestLogs } from '../../helpers/logs/harness.ts';
import { makeTempDir, TEMP_PREFIX } from '../../helpers/temp.ts';

/** A file system of 1 MiB, unmounted when the test has ended. */
async function mountSmallDisk(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), TEMP_PREFIX));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
  t.after(async () => {
    execFileSync('umount', ['--lazy', dir]);
    await rmdir(dir);
  });
  return dir;
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);
const textOf = (lines: readonly string[]) => `${lines.join('\n')}\n`;
const stdoutLines = ({ dir }: TestLogs) => linesOf(contentOf(dir, 'web', 'stdout'));

test('a full disk blocks the VM, and every line is written exactly once when there is room again', async (t) => {
  const disk = await mountSmallDisk(t);
  const filler = join(disk, 'filler');
  writeFileSync(filler, Buffer.alloc(900 * 1024));
  const logs = await startLogs(t, { dir: join(disk, 'log') });
  const source = await logs.open('web', 'stdout', { max_size_bytes: 50_000 });
  const lines = numbered(0, 10_000);
  const written = source.write(textOf(lines));

  const { error } = await logs.log.next('stalled');
  assert.match(error, /ENOSPC/);
  assert.ok(source.writer.writableLength > 0, 'the pipe is full: the VM waits');

  rmSync(filler);
  await logs.log.next('recovered');
  await written;
  await source.end();
  assert.equal((await logs.log.next('stream-ended')).lines, lines.length);
  assert.deepEqual(stdoutLines(logs), lines);
  const others = logs.log.types().filter((type) => type !== 'file-finished');
  assert.deepEqual(others, ['stalled', 'recovered', 'stream-ended']);
});

test('a stream that cannot be written does not block the other streams', async (t) => {
  const disk = await mountSmallDisk(t);
  const logs = await startLogs(t, { dir: join(disk, 'log') });
  const full = await logs.open('web', 'stdout');
  const other = await logs.open('web', 'stderr');
  await other.write('before\n');
  // Its page is there already, so stderr has room where stdout has none.
  await eventually('before', () => contentOf(logs.dir, 'web', 'stderr') !== '');
  void full.write(textOf(numbered(0, 30_000))).catch(() => {});
  await logs.log.next('stalled', 'stdout');
  await other.write('after\n');
  await eventually('after', () => contentOf(logs.dir, 'web', 'stderr').endsWith('after\n'));
  assert.deepEqual(linesOf(contentOf(logs.dir, 'web', 'stderr')), ['before', 'after']);
  await assert.rejects(logs.api.close(), /web\.stdout: \d+/);
});

test('the pipe is not read while nothing can be written, so the VM blocks and memory stays flat', async (t) => {
  const parent = await makeTempDir(t);
  const clock = new ManualClock();
  writeFileSync(join(parent, 'log'), 'a file where the folder should be');
  const logs = await startLogs(t, { dir: join(parent, 'log'), clock });
  const source = await logs.open('web', 'stdout');
  const lines = numbered(0, 100_000);
  const written = source.write(textOf(lines));
  // Turns of the loop in which a reader that does not wait would have read it all.
  for (let turn = 0; turn < 500; turn += 1) await setImmediate();
  assert.ok(source.writer.writableLength > 0, 'the VM waits');
  rmSync(logs.dir);
  clock.advance(250);
  await written;
  await source.end();
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), lines);
  assert.deepEqual(logs.log.types(), ['stalled', 'recovered', 'stream-ended']);
});

test('the marker is reported only after everything before it is on disk', async (t) => {
  const parent = await makeTempDir(t);
  const clock = new ManualClock();
  writeFileSync(join(parent, 'log'), 'a file where the folder should be');
  const logs = await startLogs(t, { dir: join(parent, 'log'), clock });
  const source = await logs.open('web', 'stdout');
  assert.deepEqual(logs.log.types(), ['stalled']);
  await logs.api.expectMarker('web', 'stdout', 'END\n');
  await source.write('last wordsEND\n');
  rmSync(logs.dir);
  clock.advance(250);
  await logs.log.next('marker-seen');
  assert.deepEqual(logs.log.types(), ['stalled', 'recovered', 'marker-seen']);
  assert.deepEqual(stdoutLines(logs), ['last words']);
});

test('a log folder deleted under a running VM is recreated, and writing continues', async (t) => {
  const clock = new ManualClock();
  const logs = await startLogs(t, { clock });
  const source = await logs.open('web', 'stdout');
  await source.write('one\n');
  await eventually('one', () => contentOf(logs.dir, 'web', 'stdout').endsWith('one\n'));
  rmSync(logs.dir, { recursive: true });
  clock.advance(1000);
  await source.write('two\n');
  await source.end();
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), ['two']);
  assert.deepEqual(logs.log.types(), ['file-finished', 'stream-ended']);
});

test('stepping the clock back changes timestamps and nothing else', async (t) => {
  const clock = new ManualClock();
  const logs = await startLogs(t, { clock });
  const source = await logs.open('web', 'stdout');
  for (const [index, line] of ['one', 'two'].entries()) {
    await source.write(`${line}\n`);
    await eventually(line, () => contentOf(logs.dir, 'web', 'stdout').endsWith(`${line}\n`));
    if (index === 0) clock.epochMs -= 3_600_000;
  }
  assert.match(contentOf(logs.dir, 'web', 'stdout'), /^2026-11-23T08:.* one\n2026-11-23T07:.* two\n$/);
});

test('with drop a full disk does not block the VM, and the log continues with a record of the gap', async (t) => {
  const disk = await mountSmallDisk(t);
  const filler = join(disk, 'filler');
  writeFileSync(filler, Buffer.alloc(900 * 1024));
  const logs = await startLogs(t, { dir: join(disk, 'log') });
  const source = await logs.open('web', 'stdout', { on_full: 'drop' });
  const lines = numbered(0, 50_000);
  await source.write(textOf(lines));
  await logs.log.next('stalled');
  // More than the pipe holds: it is read, though it cannot be written.
  await source.write(textOf(numbered(50_000, 100_000)));
  rmSync(filler);
  const { lines: droppedLines, bytes } = await logs.log.next('dropped');
  assert.ok(droppedLines > 10_000 && bytes > droppedLines);
  await source.write(textOf(['after']));
  await source.end();
  await logs.log.next('stream-ended');
  const found = stdoutLines(logs);
  const gap = found.findIndex((line) => line.startsWith('monocore: '));
  assert.match(found[gap]!, /^monocore: \d+ lines \(\d+ bytes\) were dropped: .*ENOSPC/);
  assert.deepEqual(found.slice(0, gap - 1), lines.slice(0, gap - 1));
  assert.equal(found.at(-1), 'after');
});
