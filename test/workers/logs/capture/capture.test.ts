import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { StreamName } from '../../../../src/protocol/log-files/names.ts';
import { DEFAULT_LOG_SETTINGS } from '../../../../src/protocol/log-settings.ts';
import type { LogEvent } from '../../../../src/protocol/logs.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { contentOf, filesOf, linesOf, startLogs, type TestLogs, TestStream } from '../../../helpers/logs/harness.ts';
import { openStream } from '../../../helpers/logs/open-stream.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const MARKER = '0123456789abcdef0123456789abcdef\n';

const stdoutLines = ({ dir }: TestLogs) => linesOf(contentOf(dir, 'web', 'stdout'));
const isInternal = (error: unknown) => (error as { code?: string }).code === 'Internal';

/** Waits until everything that was given to the pipe so far is in the file. */
async function settle(logs: TestLogs, lines: number): Promise<void> {
  await eventually(`${lines} lines`, () => contentOf(logs.dir, 'web', 'stdout').split('\n').length > lines);
}

test('the file and its link exist before the stream prints anything', async (t) => {
  const { dir, open } = await startLogs(t);
  await open('web', 'stdout');
  assert.equal(readFileSync(join(dir, 'web.stdout.log'), 'utf8'), '');
  assert.deepEqual(filesOf(dir, 'web', 'stdout'), ['web.stdout.000001.log']);
});

test('every stream of a VM goes to its own file, and its end is reported with its totals', async (t) => {
  const logs = await startLogs(t);
  const levels = { stdout: 'INFO', stderr: 'ERROR', console: 'DEBUG' };
  for (const stream of ['stdout', 'stderr', 'console'] as const) {
    const source = await logs.open('web', stream);
    await source.write(`to ${stream}\r\nunterminated`);
    await source.end();
    const bytes = `to ${stream}\r\nunterminated`.length;
    assert.deepEqual(await logs.log.next('stream-ended', stream), {
      type: 'stream-ended',
      service: 'web',
      stream,
      bytes,
      lines: 2,
    });
    const content = contentOf(logs.dir, 'web', stream);
    assert.match(content, new RegExp(`^[0-9TZ:.-]{24} ${levels[stream]} \\[web\\] to ${stream}\n`));
    assert.deepEqual(linesOf(content), [`to ${stream}`, 'unterminated']);
  }
});

test('bytes that are not UTF-8 are kept', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0a, 0xe2, 0x82, 0x0a]);
  await source.write(bytes);
  await source.end();
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), ['\xff\xfe\x00\xc3(', '\xe2\x82']);
});

test('output over many files is complete, and each file ends at the newline that fills it', async (t) => {
  const logs = await startLogs(t);
  const maxFileBytes = 10_000;
  const source = await logs.open('web', 'stdout', { max_size_bytes: maxFileBytes });
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index} ${'x'.repeat(index % 150)}`);
  await source.write(`${lines.join('\n')}\n`);
  await source.end();
  assert.equal((await logs.log.next('stream-ended')).lines, lines.length);
  assert.deepEqual(stdoutLines(logs), lines);
  const files = filesOf(logs.dir, 'web', 'stdout').map((name) => readFileSync(join(logs.dir, name)));
  for (const [index, file] of files.entries()) {
    assert.equal(file.at(-1), 10);
    const lastRecordBytes = file.length - 1 - file.lastIndexOf(10, file.length - 2);
    assert.ok(file.length - lastRecordBytes < maxFileBytes);
    if (index < files.length - 1) assert.ok(file.length >= maxFileBytes);
  }
});

test('a line of 50 MB is one record in one file', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout', { max_size_bytes: 1000, max_line_bytes: 2 ** 30 });
  const lineBytes = 50 * 2 ** 20;
  const fd = openSync(source.path, constants.O_RDWR);
  const child = spawn('head', ['-c', String(lineBytes), '/dev/zero'], {
    stdio: ['ignore', fd, 'inherit'],
  });
  closeSync(fd);
  await once(child, 'exit');
  await source.end();
  const { bytes, lines } = await logs.log.next('stream-ended');
  assert.deepEqual({ bytes, lines }, { bytes: lineBytes, lines: 1 });
  assert.equal(filesOf(logs.dir, 'web', 'stdout').length, 1);
});

test('a stream continues in the file of its last run, and a record cut off by a crash is completed', async (t) => {
  const dir = await makeTempDir(t);
  const torn = '2026-11-23T08:00:00.123Z INFO [web] cut o';
  writeFileSync(join(dir, 'web.stdout.000007.log'), torn);
  const logs = await startLogs(t, { dir });
  const source = await logs.open('web', 'stdout');
  await source.write('next\n');
  await source.end();
  const { lines } = await logs.log.next('stream-ended');
  assert.equal(lines, 1);
  assert.deepEqual(filesOf(dir, 'web', 'stdout'), ['web.stdout.000007.log']);
  assert.deepEqual(stdoutLines(logs), ['cut o', 'next']);
});

test('a second stream of the same name is refused, and its descriptor left to the caller', async (t) => {
  const logs = await startLogs(t);
  await logs.open('web', 'stdout');
  const second = new TestStream(join(await makeTempDir(t), 'second.fifo'));
  t.after(() => second.end());
  const source = { service: 'web', stream: 'stdout', fd: second.fd, settings: DEFAULT_LOG_SETTINGS } as const;
  const [error] = await logs.api.openStreams([source]);
  assert.equal(error?.code, 'Internal');
  // Fails for a closed descriptor.
  closeSync(second.fd);
});

test('a name that leads out of the folder, and a file instead of a pipe, are refused', async (t) => {
  const logs = await startLogs(t);
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'file'), '');
  for (const service of ['../web', 'web.x', '', '-web', 'Web', 'fine']) {
    const fd = openSync(join(dir, 'file'), 'r');
    const [error] = await logs.api.openStreams([{ service, stream: 'stdout', fd, settings: DEFAULT_LOG_SETTINGS }]);
    assert.ok(error);
    closeSync(fd);
  }
  assert.equal(existsSync(logs.dir), false);
});

test('a stream that has ended may be opened again', async (t) => {
  const logs = await startLogs(t);
  for (const line of ['first', 'second']) {
    logs.log.events.length = 0;
    const source = await logs.open('web', 'stdout');
    await source.write(`${line}\n`);
    await source.end();
    await logs.log.next('stream-ended');
  }
  assert.deepEqual(stdoutLines(logs), ['first', 'second']);
});

test('close() writes what was read, ends every stream, and refuses new ones', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await source.write('one\ntwo');
  await eventually('the bytes', () => contentOf(logs.dir, 'web', 'stdout').endsWith('two'));
  await logs.api.close();
  assert.deepEqual(stdoutLines(logs), ['one', 'two']);
  assert.deepEqual(logs.log.types(), ['stream-ended']);
  await assert.rejects(logs.open('web', 'stderr'), isInternal);
});

test('output of a VM after close() stays in its pipe for the next worker', async (t) => {
  const dir = join(await makeTempDir(t), 'log');
  const first = await startLogs(t, { dir });
  const source = await first.open('web', 'stdout');
  await source.write('one\n');
  await settle(first, 1);
  await first.api.close();
  await source.write('two\n');
  const second = await startLogs(t, { dir });
  const fd = openSync(source.path, constants.O_RDONLY | constants.O_NONBLOCK);
  await openStream(second.api, {
    service: 'web',
    stream: 'stdout',
    fd,
    settings: { ...DEFAULT_LOG_SETTINGS, max_size_bytes: 1000 },
  });
  await source.end();
  await second.log.next('stream-ended');
  assert.deepEqual(stdoutLines(second), ['one', 'two']);
});

test('the marker is found and stripped wherever it is split', async (t) => {
  for (let cut = 0; cut <= MARKER.length; cut += 1) {
    const logs = await startLogs(t);
    const source = await logs.open('web', 'stdout');
    await logs.api.expectMarker('web', 'stdout', MARKER);
    const [head, tail] = [`one\ntwo${MARKER.slice(0, cut)}`, `${MARKER.slice(cut)}three\n`];
    await source.write(head);
    await settle(logs, 1);
    await source.write(tail);
    await logs.log.next('marker-seen');
    await source.end();
    const { bytes, lines } = await logs.log.next('stream-ended');
    assert.deepEqual(stdoutLines(logs), ['one', 'two', 'three'], `cut at ${cut}`);
    assert.deepEqual({ bytes, lines }, { bytes: 'one\ntwothree\n'.length, lines: 3 });
  }
});

test('everything before the marker is in the file when the marker is reported', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await logs.api.expectMarker('web', 'stdout', MARKER);
  const text = 'line\n'.repeat(50_000);
  void source.write(`${text}no newline${MARKER}`);
  assert.deepEqual(await logs.log.next('marker-seen'), { type: 'marker-seen', service: 'web', stream: 'stdout' });
  assert.equal(stdoutLines(logs).length, 50_001);
  assert.equal(stdoutLines(logs).at(-1), 'no newline');
});

test('an incomplete marker counts as output when the stream ends', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await logs.api.expectMarker('web', 'stdout', MARKER);
  const part = MARKER.slice(0, 20);
  await source.write(`one\n${part}`);
  await source.end();
  const { bytes } = await logs.log.next('stream-ended');
  assert.equal(bytes, 24);
  assert.deepEqual(stdoutLines(logs), ['one', part]);
  assert.deepEqual(logs.log.types(), ['stream-ended']);
});

test('a false start before the marker is kept', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await logs.api.expectMarker('web', 'stdout', 'aab\n');
  for (const piece of ['a', 'a', 'a', 'a', 'b', '\n']) await source.write(piece);
  await logs.log.next('marker-seen');
  assert.deepEqual(stdoutLines(logs), ['aa']);
});

test('the marker is matched once: the same text later is output', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await logs.api.expectMarker('web', 'stdout', MARKER);
  await source.write(`one\n${MARKER}${MARKER}`);
  await source.end();
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), ['one', MARKER.trimEnd()]);
});

test('a new marker replaces one that has not come, and held-back bytes are output', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await logs.api.expectMarker('web', 'stdout', 'FIRST\n');
  await source.write('one\nFIR');
  await settle(logs, 1);
  await logs.api.expectMarker('web', 'stdout', 'SECOND\n');
  await source.write('ST\nSECOND\n');
  await logs.log.next('marker-seen');
  assert.deepEqual(stdoutLines(logs), ['one', 'FIRST']);
});

test('the marker of a stream that is not open counts as seen at once', async (t) => {
  const logs = await startLogs(t);
  await logs.api.expectMarker('web', 'stderr', MARKER);
  assert.deepEqual(logs.log.events, [{ type: 'marker-seen', service: 'web', stream: 'stderr' } satisfies LogEvent]);
});

test('removeLogs() removes the files and links of that service and of no other', async (t) => {
  const dir = await makeTempDir(t);
  const others = ['web-1.stdout.000001.log', 'web.x.stdout.000001.log', 'web.stdout.000001.log.zip', 'xweb.stdout.log'];
  for (const name of others) writeFileSync(join(dir, name), '');
  for (const name of ['web.stdout.000001.log.gz', 'web.stdout.000002.log.gz.tmp']) writeFileSync(join(dir, name), '');
  mkdirSync(join(dir, 'web'));
  const logs = await startLogs(t, { dir });
  for (const stream of ['stdout', 'stderr'] satisfies StreamName[]) {
    const source = await logs.open('web', stream, { max_size_bytes: 10 });
    await source.write('a\nb\nc\n');
    await source.end();
    await logs.log.next('stream-ended', stream);
  }
  const neighbour = await logs.open('web-1', 'stderr');
  await logs.api.removeLogs('web');
  const left = ['web', 'web-1.stderr.000001.log', 'web-1.stderr.log', ...others];
  assert.deepEqual(readdirSync(dir).sort(), left.sort());
  await neighbour.end();
});

test('removeLogs() is refused while a stream of the service is open', async (t) => {
  const logs = await startLogs(t);
  await logs.open('web', 'stderr');
  await assert.rejects(logs.api.removeLogs('web'), isInternal);
  assert.equal(filesOf(logs.dir, 'web', 'stderr').length, 1);
});

test('removeLogs() of a service without logs succeeds', async (t) => {
  const logs = await startLogs(t);
  await logs.api.removeLogs('web');
});

test('a stream opened while its logs are being removed starts with a new file', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout', { max_size_bytes: 10 });
  await source.write('a\nb\nc\n');
  await source.end();
  await logs.log.next('stream-ended');
  const removal = logs.api.removeLogs('web');
  const next = await logs.open('web', 'stdout', { max_size_bytes: 1000 });
  await removal;
  await next.write('new\n');
  await settle(logs, 1);
  assert.deepEqual(filesOf(logs.dir, 'web', 'stdout'), ['web.stdout.000001.log']);
  assert.deepEqual(stdoutLines(logs), ['new']);
});
