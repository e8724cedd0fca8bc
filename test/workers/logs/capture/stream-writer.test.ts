import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { callFs, Disk, type MakeCall } from '../../../../workers/logs/capture/disk.ts';
import { RollingFile } from '../../../../workers/logs/capture/rolling-file.ts';
import { StreamWriter, type WriterEvent } from '../../../../workers/logs/capture/stream-writer.ts';
import { FrameMemory, INPUT_START } from '../../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../../workers/logs/format/framers.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { ManualClock } from '../../../helpers/fakes/manual-clock.ts';
import { contentOf, linesOf } from '../../../helpers/logs/harness.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const ID = { service: 'web', stream: 'stdout' } as const;

/** A disk that takes `roomBytes` more bytes, then is full; each write takes `writeMs`, and waits for `gate`. */
class TestDisk {
  roomBytes = Number.POSITIVE_INFINITY;
  writeMs = 0;
  elapsedMs = 0;
  poolWrites = 0;
  gate: Promise<void> = Promise.resolve();
  error: Error & { code: string } = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

  readonly makeCall: MakeCall = (call, isOnPool) => {
    if (call.name !== 'write') return callFs(call, isOnPool);
    if (!isOnPool) return callFs(this.#shorten(call.args), false);
    this.poolWrites += 1;
    return this.gate.then(() => callFs(this.#shorten(call.args), true));
  };

  #shorten(args: readonly unknown[]) {
    const [fd, bytes, from, length, position] = args as [number, Buffer, number, number, null];
    return { name: 'write', args: [fd, bytes, from, this.#take(length), position] } as const;
  }

  #take(length: number): number {
    this.elapsedMs += this.writeMs;
    if (this.roomBytes <= 0) throw this.error;
    const taken = Math.min(length, this.roomBytes);
    this.roomBytes -= taken;
    return taken;
  }
}

async function setUp(t: TestContext, onFull: 'block' | 'drop' = 'block') {
  const dir = join(await makeTempDir(t), 'log');
  const disk = new TestDisk();
  const clock = new ManualClock();
  const memory = new FrameMemory();
  const disks = new Disk(disk.makeCall, () => disk.elapsedMs);
  const repair = () => Buffer.alloc(0);
  const file = new RollingFile({ logDir: dir, id: ID, disk: disks, maxFileBytes: 1e6, repair });
  t.after(() => file.close());
  const told: string[] = [];
  const framer = createFramer('text', { memory, id: ID, maxLineBytes: 2 ** 20 });
  const render = (event: WriterEvent): string => {
    if (event.type === 'stalled') return `stalled: ${event.error}`;
    if (event.type === 'dropped') return `dropped ${event.lines} lines, ${event.bytes} bytes`;
    return event.type === 'marker-seen' ? `marker after ${lines()}` : event.type;
  };
  const events = {
    onBusy: () => told.push('hold'),
    onReady: () => told.push('ready'),
    onWritten: () => {},
    post: (event: WriterEvent) => told.push(render(event)),
    onHeld: () => {},
    onEnd: () => told.push('end'),
  };
  const writer = new StreamWriter({ memory, framer, file, disk: disks, clock, onFull, events });
  const put = (text: string) => {
    memory.bytes.write(text, INPUT_START, 'latin1');
    writer.write(INPUT_START, INPUT_START + text.length);
  };
  const text = () => contentOf(dir, 'web', 'stdout');
  const lines = () => linesOf(text());
  return { clock, disk, framer, memory, writer, told, put, text, lines };
}

test('bytes wait while the disk is full, then are written once, from where writing stopped', async (t) => {
  const { clock, disk, framer, memory, told, put, lines } = await setUp(t);
  put('one\n');
  disk.roomBytes = 50;
  put('two\nthree\nfour\n');
  assert.deepEqual(told, ['hold', 'stalled: ENOSPC: no space left on device']);
  // The memory belongs to other streams meanwhile.
  memory.bytes.fill(0x21);
  createFramer('text', { memory, id: { service: 'other', stream: 'stderr' }, maxLineBytes: 100 }).frame(
    INPUT_START,
    INPUT_START,
    0,
  );
  put('five\nsi');
  disk.roomBytes = 30;
  clock.advance(250);
  assert.equal(told.length, 2);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(500);
  assert.deepEqual(told.slice(2), ['recovered', 'ready']);
  put('x\n');
  assert.deepEqual(lines(), ['one', 'two', 'three', 'four', 'five', 'six']);
  assert.equal(framer.lines, 6);
});

test('the retry delay doubles from 250 ms to 5 s and is reset when a write succeeds', async (t) => {
  const { clock, disk, told, put } = await setUp(t);
  const delays: (number | null)[] = [];
  disk.roomBytes = 0;
  put('one\n');
  for (let turn = 0; turn < 7; turn += 1) {
    delays.push(clock.nextDelayMs);
    clock.advance(clock.nextDelayMs!);
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 5000, 5000]);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(5000);
  assert.equal(clock.nextDelayMs, null);
  disk.roomBytes = 0;
  put('two\n');
  assert.equal(clock.nextDelayMs, 250);
  assert.deepEqual(
    told.map((text) => text.split(':')[0]),
    ['hold', 'stalled', 'recovered', 'ready', 'hold', 'stalled'],
  );
});

test('callbacks after writes run in order, after those writes', async (t) => {
  const { clock, disk, writer, told, put, lines } = await setUp(t);
  disk.roomBytes = 0;
  put('last words');
  writer.endLine();
  writer.mark();
  put('more\n');
  assert.equal(told.length, 2);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  assert.deepEqual(told.slice(2), ['recovered', 'marker after last words', 'ready']);
  assert.deepEqual(lines(), ['last words', 'more']);
});

test('a chunk framed into many pieces is kept whole when the disk fills up halfway', async (t) => {
  const { clock, disk, put, lines } = await setUp(t);
  disk.roomBytes = 300_000;
  put('\n'.repeat(60_000));
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  assert.equal(lines().length, 60_000);
});

test('finish() tries once more and reports what is lost', async (t) => {
  const { clock, disk, writer, put } = await setUp(t);
  disk.roomBytes = 0;
  put('one\n');
  const lostBytes = '2026-11-23T08:00:00.123Z INFO [web] one\n'.length;
  assert.deepEqual(await writer.finish(), { lostBytes, isStuck: false });
  assert.equal(clock.nextDelayMs, null);
});

test('finish() writes pending bytes when it can', async (t) => {
  const { disk, writer, put, lines } = await setUp(t);
  disk.roomBytes = 0;
  put('one\n');
  disk.roomBytes = Number.POSITIVE_INFINITY;
  assert.deepEqual(await writer.finish(), { lostBytes: 0, isStuck: false });
  assert.deepEqual(lines(), ['one']);
});

const isRecord = (level: string, line: string) => new RegExp(`^2026-11-23T[0-9:.]{12}Z ${level} \\[web\\] ${line}$`);

test('with drop a full disk blocks nobody, and a record marks the gap where it is', async (t) => {
  const { clock, disk, told, put, text } = await setUp(t, 'drop');
  put('one\n');
  disk.roomBytes = 50;
  put('two\nthree\n');
  put('dropped\ndropped\nhalf a ');
  put('line, ');
  assert.deepEqual(told, ['stalled: ENOSPC: no space left on device']);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  assert.deepEqual(told.slice(1), ['recovered', 'dropped 2 lines, 29 bytes']);
  put('the rest of it\n');
  const records = text().split('\n');
  assert.deepEqual(linesOf(`${records.slice(0, 3).join('\n')}\n`), ['one', 'two', 'three']);
  const gap = 'monocore: 2 lines \\(29 bytes\\) were dropped: ENOSPC: no space left on device';
  assert.match(records[3]!, isRecord('WARN', gap));
  assert.match(records[4]!, isRecord('INFO', 'the rest of it'));
  assert.equal(records.length, 6);
});

test('with drop a line cut by the full disk is ended before the record of the gap', async (t) => {
  const { clock, disk, put, lines } = await setUp(t, 'drop');
  put('begun ');
  disk.roomBytes = 0;
  put('in time\n');
  put('too late\n');
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  put('after\n');
  assert.equal(lines()[0], 'begun in time');
  assert.match(lines()[1]!, /^monocore: 1 lines \(9 bytes\) were dropped/);
  assert.deepEqual(lines().slice(2), ['after']);
});

test('dropped lines are reported every ten seconds at most', async (t) => {
  const { clock, disk, told, put } = await setUp(t, 'drop');
  const drops = () => told.filter((entry) => entry.startsWith('dropped'));
  disk.roomBytes = 0;
  put('one\n');
  for (let second = 0; second < 25; second += 1) {
    put('x\n');
    clock.advance(1000);
  }
  assert.deepEqual(drops(), ['dropped 10 lines, 20 bytes', 'dropped 10 lines, 20 bytes']);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(5000);
  assert.equal(drops().length, 3);
  for (let spell = 0; spell < 3; spell += 1) {
    disk.roomBytes = 0;
    put('one\n');
    put('x\n');
    disk.roomBytes = Number.POSITIVE_INFINITY;
    clock.advance(250);
  }
  assert.equal(drops().length, 3, 'three short spells within ten seconds');
  clock.advance(10_000);
  assert.deepEqual(drops().slice(3), ['dropped 3 lines, 6 bytes']);
});

test('with drop a full disk does not delay the end of a stream, and the loss is reported', async (t) => {
  const { disk, told, put, writer } = await setUp(t, 'drop');
  disk.roomBytes = 0;
  put('one\n');
  put('two\n');
  writer.end();
  assert.equal(told.at(-1), 'end');
  assert.equal((await writer.finish()).lostBytes, 0);
  assert.match(told.at(-1)!, /^dropped 1 lines, \d+ bytes$/);
});

test('with drop an error other than a full disk is waited out', async (t) => {
  const { clock, disk, told, put } = await setUp(t, 'drop');
  disk.error = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  disk.roomBytes = 0;
  put('one\n');
  assert.deepEqual(told, ['hold', 'stalled: EIO: i/o error']);
  assert.equal(clock.nextDelayMs, 250);
});

test('a slow write moves the next ones to the thread pool until writes are fast again', async (t) => {
  const { disk, told, put, lines } = await setUp(t);
  disk.writeMs = 51;
  put('one\n');
  assert.equal(told.length, 0);
  let open = () => {};
  disk.gate = new Promise((resolve) => {
    open = resolve;
  });
  put('two\n');
  assert.deepEqual(told, ['hold']);
  assert.deepEqual(lines(), ['one']);
  open();
  await eventually('the second line', () => told.includes('ready'));
  assert.deepEqual(lines(), ['one', 'two']);
  disk.writeMs = 1;
  for (let write = 0; write < 64; write += 1) {
    told.length = 0;
    put('x\n');
    await eventually('the line', () => told.includes('ready'));
  }
  assert.equal(disk.poolWrites, 65);
  put('at once\n');
  assert.equal(lines().at(-1), 'at once');
  assert.equal(disk.poolWrites, 65);
});

test('bytes that arrive during a slow write wait for it, in order', async (t) => {
  const { disk, writer, told, put, lines } = await setUp(t);
  disk.writeMs = 100;
  put('one\n');
  put('two\nth');
  put('ree\n');
  writer.endLine();
  writer.end();
  await eventually('the end', () => told.includes('end'));
  assert.deepEqual(lines(), ['one', 'two', 'three']);
});

test('a full disk that is also slow is waited for like any other', async (t) => {
  const { clock, disk, told, put, lines } = await setUp(t);
  disk.writeMs = 100;
  put('one\n');
  disk.roomBytes = 10;
  put('two\n');
  await eventually('the fault', () => told.some((entry) => entry.startsWith('stalled')));
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  await eventually('the second line', () => told.includes('ready'));
  assert.deepEqual(lines(), ['one', 'two']);
});

test('finish() gives up on a disk that does not respond', async (t) => {
  const { clock, disk, put, writer } = await setUp(t);
  disk.writeMs = 100;
  put('one\n');
  disk.gate = new Promise(() => {});
  put('two\n');
  const finished = writer.finish();
  await eventually('the write', () => disk.poolWrites === 1);
  // Told that nothing is stuck, this caller would close the file under the write.
  const again = writer.finish();
  clock.advance(2000);
  const lostBytes = '2026-11-23T08:00:00.123Z INFO [web] two\n'.length;
  assert.deepEqual(await finished, { lostBytes, isStuck: true });
  assert.deepEqual(await again, { lostBytes, isStuck: true });
});
