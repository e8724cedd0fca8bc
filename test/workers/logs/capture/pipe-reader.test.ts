import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { openReadEnd } from '../../../../src/vm/host/fifos.ts';
import { BusyPipes } from '../../../../workers/logs/capture/busy-pipes.ts';
import { PipeReader } from '../../../../workers/logs/capture/pipe-reader.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { makeFifos } from '../../../helpers/processes/fifos.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';

const BUFFER_BYTES = 65_536;

/** Pipes of one thread; `reads` has the length of each read, `text` everything. */
async function setUp(t: TestContext, count = 1) {
  const dir = await makeTempDir(t);
  const buffer = Buffer.alloc(BUFFER_BYTES);
  const busyPipes = new BusyPipes(BUFFER_BYTES);
  const pipes = Array.from({ length: count }, (_, index) => {
    const path = join(dir, `${index}.fifo`);
    makeFifos([path]);
    const fd = openReadEnd(path);
    const writeFd = openSync(path, 'r+');
    const pipe = { reads: [] as number[], text: '', isClosed: false };
    const onBytes = (length: number): void => {
      pipe.reads.push(length);
      pipe.text += buffer.toString('latin1', 0, length);
    };
    const onClosed = (): void => {
      pipe.isClosed = true;
    };
    const reader = new PipeReader({ fd, buffer, busyPipes, onBytes, onClosed });
    defer(t, () => reader.close());
    let isOpen = true;
    const end = (): void => {
      if (isOpen) closeSync(writeFd);
      isOpen = false;
    };
    defer(t, end);
    return { pipe, reader, end, print: (text: string) => writeSync(writeFd, text) };
  });
  return pipes;
}

type Pipe = Awaited<ReturnType<typeof setUp>>[number];

/** Prints so many lines, one in each turn of the event loop. */
async function printLines({ print }: Pipe, count: number, from = 0): Promise<string> {
  let text = '';
  for (let line = from; line < from + count; line += 1) {
    print(`line ${line}\n`);
    text += `line ${line}\n`;
    await setImmediate();
  }
  return text;
}

test('a pipe that is written in small pieces is read later and more at once, in order and without a loss', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  const text = await printLines(one, 2000);
  await eventually('all lines', () => one.pipe.text.length === text.length);
  assert.equal(one.pipe.text, text);
  assert.ok(one.pipe.reads.length < 1000, `${one.pipe.reads.length} reads of 2000 lines`);
});

test('a pipe that is quiet again is read as soon as something is in it', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  await printLines(one, 50);
  // Longer than two turns of the busy pipes.
  await setTimeout(100);
  for (let line = 0; line < 3; line += 1) {
    const { length } = one.pipe.reads;
    one.print('x\n');
    await eventually('the line', () => one.pipe.reads.length > length);
    await setTimeout(20);
  }
  assert.deepEqual(one.pipe.reads.slice(-3), [2, 2, 2]);
});

test('a busy pipe that fills up is read at once to its end', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  let expected = (await printLines(one, 50)).length;
  // As much as a pipe holds, thrice: a write that has to wait would block this thread, which reads it, for ever.
  for (let round = 0; round < 3; round += 1) {
    one.print('x'.repeat(60_000));
    expected += 60_000;
    await eventually('the block', () => one.pipe.text.length === expected);
  }
  one.end();
  await eventually('the end', () => one.pipe.isClosed);
});

test('many busy pipes are read in the same turns', async (t) => {
  const pipes = await setUp(t, 20);
  const texts = await Promise.all(pipes.map((pipe) => printLines(pipe, 100)));
  await eventually('all lines', () => pipes.every(({ pipe }, index) => pipe.text.length === texts[index]!.length));
  for (const [index, { pipe }] of pipes.entries()) assert.equal(pipe.text, texts[index]);
});

test('while it is paused a busy pipe is not read', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  const text = await printLines(one, 50);
  one.reader.pause();
  const before = one.pipe.text.length;
  const more = await printLines(one, 50, 50);
  assert.equal(one.pipe.text.length, before);
  one.reader.resume();
  await eventually('the rest', () => one.pipe.text === text + more);
});

test('a busy pipe is drained to what it holds, and says whether a writer holds it open', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  const text = await printLines(one, 50);
  one.print('last words');
  const heldOpen: boolean[] = [];
  one.reader.drain((isHeldOpen) => heldOpen.push(isHeldOpen));
  assert.equal(one.pipe.text, `${text}last words`);
  one.end();
  one.reader.drain((isHeldOpen) => heldOpen.push(isHeldOpen));
  assert.deepEqual(heldOpen, [true, false]);
  await eventually('the end', () => one.pipe.isClosed);
});

test('a drain waits while the pipe is paused', async (t) => {
  const [one] = (await setUp(t)) as [Pipe];
  one.reader.pause();
  one.print('waiting');
  let isDrained = false;
  one.reader.drain(() => {
    isDrained = true;
  });
  assert.equal(isDrained, false);
  one.reader.resume();
  assert.equal(isDrained, true);
  assert.equal(one.pipe.text, 'waiting');
});

test('what is in a busy pipe that is closed stays for the next reader', async (t) => {
  const [one, two] = (await setUp(t, 2)) as [Pipe, Pipe];
  await printLines(one, 50);
  await one.reader.close();
  assert.equal(one.pipe.isClosed, true);
  const { length } = one.pipe.reads;
  one.print('for the next one');
  const text = await printLines(two, 50);
  await eventually('the other pipe', () => two.pipe.text === text);
  assert.equal(one.pipe.reads.length, length);
});
