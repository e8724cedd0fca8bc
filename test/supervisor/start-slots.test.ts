import assert from 'node:assert/strict';
import test from 'node:test';
import { type StartLimits, StartSlots } from '../../src/supervisor/start-slots.ts';
import { settle } from '../helpers/fakes/fake-ports.ts';

const MIB = 2 ** 20;

/** A gate, and what goes through it: each start lasts until it is ended. */
function watchGate(limits: StartLimits) {
  const gate = new StartSlots(limits);
  const entered: string[] = [];
  const reasons = new Map<string, string>();
  const ends = new Map<string, (error?: Error) => void>();
  const start = (name: string, memoryMib = 128): Promise<void> =>
    gate.run(
      memoryMib,
      (reason) => reasons.set(name, reason),
      () => {
        entered.push(name);
        return new Promise((resolve, reject) => ends.set(name, (error) => (error ? reject(error) : resolve())));
      },
    );
  return { start, entered, reasons, end: (name: string, error?: Error) => ends.get(name)!(error) };
}

test('as many starts as there are slots go on at once, the others in their order', async () => {
  const { start, entered, reasons, end } = watchGate({ slots: 2, freeBytes: null });
  const starts = ['a', 'b', 'c', 'd'].map((name) => start(name));
  await settle();
  assert.deepEqual(entered, ['a', 'b']);
  assert.deepEqual(
    [...reasons],
    ['c', 'd'].map((name) => [name, 'waits for its turn: 2 start at a time']),
  );
  end('b');
  await settle();
  assert.deepEqual(entered, ['a', 'b', 'c']);
  for (const name of ['a', 'c']) end(name);
  await settle();
  end('d');
  await Promise.all(starts);
});

test('a start that fails frees its slot, and its failure is that of its caller alone', async () => {
  const { start, entered, end } = watchGate({ slots: 1, freeBytes: null });
  const first = start('a');
  const second = start('b');
  await settle();
  end('a', new Error('no kernel'));
  await assert.rejects(first, /no kernel/);
  await settle();
  assert.deepEqual(entered, ['a', 'b']);
  end('b');
  await second;
});

test('what those on their way are going to take of the memory counts as taken', async () => {
  const { start, entered, reasons, end } = watchGate({ slots: 9, freeBytes: () => 1000 * MIB });
  const starts = [start('a', 600), start('b', 600), start('small', 100)];
  await settle();
  assert.deepEqual(entered, ['a'], 'nobody overtakes: a big one would wait for ever');
  assert.equal(reasons.get('b'), 'waits for memory: 400 MiB are free');
  end('a');
  await settle();
  assert.deepEqual(entered, ['a', 'b', 'small']);
  end('b');
  end('small');
  await Promise.all(starts);
});

test('one at a time starts however little memory is free', async () => {
  const { start, entered, end } = watchGate({ slots: 9, freeBytes: () => 0 });
  const starts = [start('a'), start('b')];
  await settle();
  assert.deepEqual(entered, ['a']);
  end('a');
  await settle();
  assert.deepEqual(entered, ['a', 'b']);
  end('b');
  await Promise.all(starts);
});
