import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listDescriptors } from '../../src/lib/proc.ts';
import { MIB } from '../../src/lib/units.ts';
import { LogThread } from '../../src/logs/logs-thread.ts';
import type { StreamName } from '../../src/protocol/log-files/names.ts';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import { openChildEnd, openReadEnd } from '../../src/vm/host/fifos.ts';
import { eventually } from '../helpers/eventually.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { openFilesBelow } from '../helpers/processes/open-files.ts';
import { makeTempDir } from '../helpers/temp.ts';

const PREFIX = /^\S+Z (INFO|ERROR) \[web\] /;
/** Most bytes that the worker reads at once. */
const CHUNK_BYTES = 64 * 1024;
const onStalled = () => {};

async function startLogThread(t: TestContext, options: ConstructorParameters<typeof LogThread>[2] = {}) {
  const dir = await makeTempDir(t);
  const reports: string[] = [];
  const logs = new LogThread(join(dir, 'log'), (level, message) => reports.push(`${level}: ${message}`), options);
  t.after(() => logs.stop());
  await logs.thread.start();
  return { dir, logs, reports, logFile: (stream: StreamName) => join(dir, 'log', `web.${stream}.log`) };
}

/** The streams of a VM: read ends to be captured, and the ends that the VM writes to. */
async function openStreams(t: TestContext, dir: string, names: readonly StreamName[] = ['stdout', 'stderr']) {
  const path = (stream: StreamName) => join(dir, `${stream}.fifo`);
  makeFifos(names.map(path));
  const streams = names.map((stream) => ({ stream, fd: openReadEnd(path(stream)) }));
  const childEnds = names.map((stream) => openChildEnd(path(stream)));
  const close = () => {
    for (const fd of childEnds.splice(0)) closeSync(fd);
  };
  t.after(close);
  return { streams, childEnds, close, reopen: (stream: StreamName) => openReadEnd(path(stream)) };
}

/** The lines in all files of a stream, without their prefixes. */
function linesIn(dir: string, stream: StreamName): string[] {
  return readdirSync(join(dir, 'log'))
    .filter((name) => new RegExp(`^web\\.${stream}\\.\\d+\\.log$`).test(name))
    .sort()
    .flatMap((name) =>
      readFileSync(join(dir, 'log', name), 'latin1')
        .split('\n')
        .slice(0, -1),
    )
    .map((record) => {
      assert.match(record, PREFIX);
      return record.replace(PREFIX, '');
    });
}

test('everything that a service prints is in its files when its streams have ended', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  writeSync(childEnds[0]!, 'to stdout\n');
  writeSync(childEnds[1]!, 'to stderr\nwithout newline');
  close();
  await ended.opened;
  assert.deepEqual(linesIn(dir, 'stdout'), ['to stdout']);
  assert.deepEqual(linesIn(dir, 'stderr'), ['to stderr', 'without newline']);
  assert.equal(openFilesBelow(dir), 0);
});

/**
 * A worker that crashes hands over what it has in its hands. One that is ended wherever it is cannot: it writes each chunk
 * before it reads the next, so at most one chunk is lost, in one piece, and a line that was cut in two is two records.
 * Nothing is there twice or out of order.
 */
for (const [death, lostBytes] of [
  ['crash', 0],
  ['kill', CHUNK_BYTES],
] as const) {
  test(`a log worker that dies (${death}) while a service prints loses at most ${lostBytes} bytes`, async (t) => {
    const { dir, logs, logFile, reports } = await startLogThread(t);
    const { streams, childEnds, close, reopen } = await openStreams(t, dir, ['stdout']);
    const ended = gate();
    await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
    const path = fileURLToPath(new URL('../fixtures/line-writer.js', import.meta.url));
    const writer = spawn(process.execPath, [path], { stdio: ['pipe', childEnds[0]!, 'inherit'] });
    t.after(() => writer.kill('SIGKILL'));
    close();

    const hasGrown = (bytes: number) => {
      const before = linesIn(dir, 'stdout').length;
      return eventually('more lines', () => linesIn(dir, 'stdout').length > before + bytes);
    };
    await eventually('the first lines', () => statSync(logFile('stdout'), { throwIfNoEntry: false })?.size);
    await hasGrown(2000);
    await logs.thread[death]();
    await eventually('the restart', async () => logs.thread.status().restarts === 1 && logs.thread.ready());
    await hasGrown(2000);
    writer.stdin!.write('stop\n');
    await once(writer, 'exit');
    await ended.opened;

    const lines = linesIn(dir, 'stdout');
    const count = Number(/^end (\d+)$/.exec(lines.at(-1)!)![1]);
    const printed = [...Array.from({ length: count }, (_, index) => `line ${index + 1}`), `end ${count}`];
    let whole = 0;
    while (lines[whole] === printed[whole] && whole < printed.length) whole += 1;
    let wholeAgain = 0;
    while (lines.at(-1 - wholeAgain) === printed.at(-1 - wholeAgain) && wholeAgain < lines.length - whole)
      wholeAgain += 1;
    const torn = lines.slice(whole, lines.length - wholeAgain).join('\n');
    const missing = printed.slice(whole, printed.length - wholeAgain).join('\n');
    assert.ok(missing.length - torn.length <= lostBytes, `${missing.length - torn.length} bytes are lost`);
    assert.ok(torn.split('\n').length <= 2, `more than one line is torn: ${torn}`);
    assert.match(reports[0]!, /^error: the logs thread ended: .*; restarting it$/);
  });
}

test('the marker is still found after a crash and does not appear in the log', { timeout: 30_000 }, async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  const sent = gate();
  const arrived = logs.awaitMarker('web', 'M4RK3R', sent.open);
  await sent.opened;
  await logs.thread.crash();
  for (const fd of childEnds) writeSync(fd, 'last words\nM4RK3R');
  await arrived;
  close();
  await ended.opened;
  for (const stream of ['stdout', 'stderr'] as const) assert.deepEqual(linesIn(dir, stream), ['last words']);
});

test('a log worker that dies while it is given the marker loses nothing', { timeout: 30_000 }, async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  const arrived = logs.awaitMarker('web', 'M4RK3R', () => {
    for (const fd of childEnds) writeSync(fd, 'last words\nM4RK3R');
  });
  await logs.thread.crash();
  await arrived;
  close();
  await ended.opened;
  for (const stream of ['stdout', 'stderr'] as const) assert.deepEqual(linesIn(dir, stream), ['last words']);
});

test('a marker is not waited for in streams that have ended', { timeout: 30_000 }, async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  const sent = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  const arrived = logs.awaitMarker('web', 'M4RK3R', sent.open);
  await sent.opened;
  close();
  await Promise.all([arrived, ended.opened]);
  await logs.awaitMarker('web', 'AN0TH3R', () => assert.fail('nobody is there to be asked'));
});

test('a stream that cannot be reopened is reported and does not block the reopening of others', async (t) => {
  const { dir, logs, reports } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  await logs.capture('web', streams, {
    reopen: (stream) => {
      if (stream === 'stdout') throw new Error('gone');
      return reopen(stream);
    },
    onEnded: () => {},
    onStalled,
  });
  await logs.thread.crash();
  await logs.thread.ready();
  writeSync(childEnds[1]!, 'still heard\n');
  await eventually('the line', () => linesIn(dir, 'stderr').includes('still heard'));
  assert.match(reports.at(-1)!, /^error: web: its stdout cannot be opened again: gone$/);
  close();
});

test('a stream that cannot be reopened counts as ended', { timeout: 30_000 }, async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, close } = await openStreams(t, dir);
  const ended = gate();
  const reopen = () => {
    throw new Error('gone');
  };
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  await logs.thread.crash();
  await ended.opened;
  close();
});

test('streams held open by a process are ended on demand and reported', async (t) => {
  const { dir, logs, reports } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  writeSync(childEnds[0]!, 'last words\n');
  logs.closeStreams('web', true);
  await ended.opened;
  assert.deepEqual(linesIn(dir, 'stdout'), ['last words']);
  assert.deepEqual(reports.sort(), [
    'warn: web: a process that outlived it holds its stderr open; what it prints from now on is lost',
    'warn: web: a process that outlived it holds its stdout open; what it prints from now on is lost',
  ]);
  logs.closeStreams('web', true);
  close();
});

test('if a log worker dies before it ends such streams, the next one does', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  const died = logs.thread.crash();
  logs.closeStreams('web', true);
  await died;
  // What the old one had read would be lost with it.
  writeSync(childEnds[0]!, 'last words\n');
  await ended.opened;
  assert.deepEqual(linesIn(dir, 'stdout'), ['last words']);
  close();
});

test('a capture that is refused leaves no descriptor open', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, close, reopen } = await openStreams(t, dir);
  await logs.stop();
  await assert.rejects(logs.capture('web', streams, { reopen, onEnded: () => {}, onStalled }), { code: 'ThreadDied' });
  close();
  assert.equal(openFilesBelow(dir), 0, JSON.stringify(listDescriptors('self')));
});

test('the last lines are those since a given time, oldest first', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  writeSync(childEnds[0]!, 'one\ntwo\nthree\n');
  close();
  await ended.opened;
  const since = (iso: string) => logs.lastLinesSince('web', ['stdout', 'stderr'], 2, iso);
  assert.deepEqual(
    (await since('2000-01-01T00:00:00.000Z')).map((line) => line.replace(PREFIX, '')),
    ['two', 'three'],
  );
  assert.deepEqual(await since('2999-01-01T00:00:00.000Z'), []);
  await logs.removeLogs('web');
  assert.deepEqual(readdirSync(join(dir, 'log')), []);
});

test('a last line is cut: a guest decides how long it is', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const ended = gate();
  const settings = { ...DEFAULT_LOG_SETTINGS, max_line_bytes: MIB };
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled }, settings);
  writeSync(childEnds[0]!, `short\n${'x'.repeat(MIB / 2)}\nlast\n`);
  close();
  await ended.opened;
  const lines = await logs.lastLines('web', ['stdout'], 3, '2000');
  assert.deepEqual(
    lines.map((line) => line.replace(PREFIX, '')).map((line) => (line.length > 10 ? 'long' : line)),
    ['short', 'long', 'last'],
  );
  assert.deepEqual([lines[1]!.length, lines[1]!.slice(-2)], [4097, 'x…']);
});

test('a stop writes everything, ends the worker and leaves no descriptor', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  await logs.capture('web', streams, { reopen, onEnded: () => {}, onStalled });
  writeSync(childEnds[0]!, 'written\n');
  await eventually('the line', () => linesIn(dir, 'stdout').includes('written'));
  await logs.stop();
  close();
  assert.equal(openFilesBelow(dir), 0);
});

test('a write failure of a service is reported with its reason, and so is its recovery', async (t) => {
  const { dir, logs, reports } = await startLogThread(t);
  const { streams, close, reopen } = await openStreams(t, dir);
  writeFileSync(join(dir, 'log'), 'a file where the folder should be');
  const ended = gate();
  const reasons: (string | null)[] = [];
  const onStalled = (reason: string | null) => reasons.push(reason);
  await logs.capture('web', streams, { reopen, onEnded: ended.open, onStalled });
  await eventually('the reason', () => reasons.length === 2);
  assert.match(reasons[0]!, /^stdout: .* \(E(EXIST|NOTDIR)\)/);
  unlinkSync(join(dir, 'log'));
  await eventually('the recovery', () => reasons.at(-1) === null);
  assert.equal(reasons.filter((reason) => reason === null).length, 1, 'told when both streams can be written');
  assert.match(reports[0]!, /^warn: web: its stdout cannot be written: .* \(E(EXIST|NOTDIR)\)/);
  close();
  await ended.opened;
});

test('when one stream of a service cannot be captured the others are let go, and the service may be captured anew', async (t) => {
  const { dir, logs } = await startLogThread(t);
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const noPipe = join(dir, 'file');
  writeFileSync(noPipe, '');
  closeSync(streams[1]!.fd);
  const broken = [streams[0]!, { stream: 'stderr' as const, fd: openSync(noPipe, 'r') }];
  writeSync(childEnds[0]!, 'first\n');
  const said = t.mock.method(process.stderr, 'write');
  await assert.rejects(logs.capture('web', broken, { reopen, onEnded: () => {}, onStalled }));
  const ended = gate();
  const again = (['stdout', 'stderr'] as const).map((stream) => ({ stream, fd: reopen(stream) }));
  await logs.capture('web', again, { reopen, onEnded: ended.open, onStalled });
  writeSync(childEnds[0]!, 'second\n');
  close();
  await ended.opened;
  assert.deepEqual(linesIn(dir, 'stdout'), ['first', 'second']);
  assert.equal(openFilesBelow(dir), 0, JSON.stringify(listDescriptors('self')));
  assert.deepEqual(said.mock.calls, [], 'Node warns of descriptors that a thread closes for another one');
});

/** Keeps all threads of libuv's pool busy, which the workers share, until the returned function is called. */
function blockPool(dir: string): () => void {
  const paths = Array.from({ length: 4 }, (_, index) => join(dir, `pool.${index}.fifo`));
  makeFifos(paths);
  // The opening of a FIFO waits for its other end.
  const opening = paths.map((path) => open(path, 'r'));
  return () => {
    const fds = paths.map((path) => openSync(path, constants.O_RDWR));
    void Promise.all(opening).then((files) => {
      for (const fd of fds) closeSync(fd);
      return Promise.all(files.map((file) => file.close()));
    });
  };
}

test('streams that are opened too late are let go, and the service may be captured anew', async (t) => {
  const { dir, logs } = await startLogThread(t, { openTimeoutMs: 50 });
  const { streams, childEnds, close, reopen } = await openStreams(t, dir);
  const unblock = blockPool(dir);
  const api = await logs.thread.ready();
  const removed = api.removeLogs('web');
  const refused = { reopen, onEnded: () => {}, onStalled };
  const tooLate = { code: 'CallTimeout', message: /did not open the streams of web in 50 ms/ };
  try {
    await assert.rejects(logs.capture('web', streams, refused), tooLate);
    const early = (['stdout', 'stderr'] as const).map((stream) => ({ stream, fd: reopen(stream) }));
    await assert.rejects(logs.capture('web', early, refused), tooLate);
  } finally {
    unblock();
  }
  await removed;
  const ended = gate();
  await eventually('a capture', async () => {
    const again = (['stdout', 'stderr'] as const).map((stream) => ({ stream, fd: reopen(stream) }));
    return logs.capture('web', again, { reopen, onEnded: ended.open, onStalled }).then(
      () => true,
      (error) => assert.equal(error.code, 'CallTimeout'),
    );
  });
  writeSync(childEnds[0]!, 'heard\n');
  close();
  await ended.opened;
  assert.deepEqual(linesIn(dir, 'stdout'), ['heard']);
  assert.equal(openFilesBelow(dir), 0, JSON.stringify(listDescriptors('self')));
});
