import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { asideOf, type FileChange } from '../../src/protocol/state.ts';
import { StateThread } from '../../src/state/state-thread.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

async function openState(t: TestContext) {
  const dir = await makeTempDir(t);
  const reports: string[] = [];
  const state = new StateThread((_level, message) => reports.push(message));
  await state.thread.start();
  defer(t, () => state.thread.stop());
  const write = (name: string, text: string, durable = false): FileChange => ({
    type: 'write',
    path: join(dir, name),
    text,
    durable,
  });
  return { dir, state, reports, write, read: (name: string) => readFileSync(join(dir, name), 'utf8') };
}

test('files are written, replaced and removed, for their owner alone', async (t) => {
  const { dir, state, write, read } = await openState(t);
  await Promise.all([state.change(write('a', 'one')), state.change(write('b', 'two', true))]);
  assert.deepEqual([read('a'), read('b')], ['one', 'two']);
  assert.equal(statSync(join(dir, 'a')).mode & 0o777, 0o600);
  await state.change(write('a', 'three', true));
  assert.equal(read('a'), 'three');
  // As a crash leaves it.
  writeFileSync(asideOf(join(dir, 'b')), 'half');
  await state.change({ type: 'remove', path: join(dir, 'b') });
  await state.change({ type: 'remove', path: join(dir, 'never') });
  assert.deepEqual(readdirSync(dir), ['a']);
});

test('one that cannot be written fails alone, and leaves nothing behind', async (t) => {
  const { dir, state, write, read } = await openState(t);
  for (const name of ['folder', 'durable']) mkdirSync(join(dir, name));
  const [folder, durable, elsewhere, good] = await Promise.allSettled([
    state.change(write('folder', 'text')),
    state.change(write('durable', 'text', true)),
    state.change(write('missing/file', 'text')),
    state.change(write('good', 'text')),
  ]);
  for (const failed of [folder, durable]) assert.match(String(failed.status === 'rejected' && failed.reason), /EISDIR/);
  assert.match(String(elsewhere.status === 'rejected' && elsewhere.reason), /ENOENT/);
  assert.equal(good.status, 'fulfilled');
  assert.equal(read('good'), 'text');
  assert.deepEqual(readdirSync(dir), ['durable', 'folder', 'good']);
});

test('what a worker has not written when it dies is written by the next one', async (t) => {
  const { dir, state, reports, write, read } = await openState(t);
  const names = Array.from({ length: 50 }, (_, index) => `file-${index}`);
  const written = Promise.all(names.map((name) => state.change(write(name, name, true))));
  await state.thread.crash();
  await written;
  for (const name of names) assert.equal(read(name), name);
  assert.equal(state.thread.status().restarts, 1);
  assert.equal(reports.length, 1);
  assert.equal(existsSync(asideOf(join(dir, names[0]!))), false);
});

test('after its end nothing is written, and whoever asks hears of it', async (t) => {
  const { state, write } = await openState(t);
  await state.thread.stop();
  await assert.rejects(state.change(write('late', 'text')), { code: 'ThreadDied' });
});
