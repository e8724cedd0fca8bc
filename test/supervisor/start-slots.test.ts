import assert from 'node:assert/strict';
import test from 'node:test';
import { type StartLimits, StartSlots } from '../../src/supervisor/start-slots.ts';
import { settle } from '../helpers/fakes/fake-context.ts';

const MIB = 2 ** 20;

/** Slots, and the starts that take them: each lasts until it is ended. */
function watchSlots(limits: StartLimits) {
  const slots = new StartSlots(limits);
  const entered: string[] = [];
  const reasons = new Map<string, string>();
  const ends = new Map<string, () => void>();
  const start = async (name: string, memoryMib = 128, signal?: AbortSignal): Promise<void> => {
    const free = await slots.take(memoryMib, (reason) => reasons.set(name, reason), signal);
    entered.push(name);
    await new Promise<void>((resolve) => ends.set(name, resolve));
    free();
  };
  return { start, entered, reasons, end: (name: string) => ends.get(name)!() };
}

test('as many starts as there are slots go on at once, the others in their order', async () => {
  const { start, entered, reasons, end } = watchSlots({ slots: 2, freeBytes: () => Number.POSITIVE_INFINITY });
  const starts = ['a', 'b', 'c', 'd'].map((name) => start(name));
  await settle();
  assert.deepEqual(entered, ['a', 'b']);
  assert.deepEqual(
    [...reasons],
    ['c', 'd'].map((name) => [name, 'waiting for a start slot (2 at a time)']),
  );
  end('b');
  await settle();
  assert.deepEqual(entered, ['a', 'b', 'c']);
  for (const name of ['a', 'c']) end(name);
  await settle();
  end('d');
  await Promise.all(starts);
});

test('a cancelled wait is over at once, and the starts behind it do not wait for it', async () => {
  const { start, entered, end } = watchSlots({ slots: 9, freeBytes: () => 1000 * MIB });
  const first = start('a', 600);
  const cancel = new AbortController();
  const big = start('big', 600, cancel.signal);
  const small = start('small', 100);
  await settle();
  assert.deepEqual(entered, ['a'], 'nothing overtakes');
  cancel.abort();
  await assert.rejects(big, { code: 'Aborted', message: 'the start was cancelled' });
  await assert.rejects(start('late', 1, cancel.signal), { code: 'Aborted' });
  await settle();
  assert.deepEqual(entered, ['a', 'small']);
  for (const name of entered) end(name);
  await Promise.all([first, small]);
});

test('a slot that is freed twice is free once', async () => {
  const slots = new StartSlots({ slots: 1, freeBytes: () => Number.POSITIVE_INFINITY });
  const free = await slots.take(1, () => {});
  free();
  free();
  await slots.take(1, () => {});
  let isTaken = false;
  void slots
    .take(1, () => {})
    .then(() => {
      isTaken = true;
    });
  await settle();
  assert.equal(isTaken, false);
});

test('the memory that running starts will need counts as taken', async () => {
  const { start, entered, reasons, end } = watchSlots({ slots: 9, freeBytes: () => 1000 * MIB });
  const starts = [start('a', 600), start('b', 600), start('small', 100)];
  await settle();
  assert.deepEqual(entered, ['a'], 'nothing overtakes: a big one would wait forever');
  assert.equal(reasons.get('b'), 'waiting for memory (400 MiB free)');
  end('a');
  await settle();
  assert.deepEqual(entered, ['a', 'b', 'small']);
  end('b');
  end('small');
  await Promise.all(starts);
});

test('one start at a time goes ahead however little memory is free', async () => {
  const { start, entered, end } = watchSlots({ slots: 9, freeBytes: () => 0 });
  const starts = [start('a'), start('b')];
  await settle();
  assert.deepEqual(entered, ['a']);
  end('a');
  await settle();
  assert.deepEqual(entered, ['a', 'b']);
  end('b');
  await Promise.all(starts);
});
