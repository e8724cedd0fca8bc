import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdirSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { closeAll, FifoMaker, openChildEnd, openReadEnd } from '../../../src/vm/host/fifos.ts';
import { findExecutable } from '../../../src/vm/host/host-tools.ts';
import { makeFifos } from '../../helpers/processes/fifos.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { makeTempDir } from '../../helpers/temp.ts';

async function makeFifo(t: TestContext): Promise<string> {
  const path = join(await makeTempDir(t), 'fifo');
  makeFifos([path]);
  return path;
}

function read(fd: number): string {
  const bytes = Buffer.alloc(100);
  return bytes.toString('latin1', 0, readSync(fd, bytes));
}

test('what is asked for in one turn is made by one program', async (t) => {
  const dir = await makeTempDir(t);
  const { PATH } = process.env;
  const real = findExecutable('mkfifo', '/', PATH!);
  writeProgram(join(dir, 'mkfifo'), `echo call >>'${dir}/calls'\nexec ${real} "$@"`);
  process.env.PATH = `${dir}:${PATH}`;
  t.after(() => {
    process.env.PATH = PATH;
  });
  const fifos = new FifoMaker(openSpawner(t));
  const paths = Array.from({ length: 30 }, (_, index) => join(dir, `${index}.fifo`));
  await Promise.all(paths.map((path) => fifos.make([path])));
  assert.equal(readFileSync(join(dir, 'calls'), 'utf8'), 'call\n');
  for (const path of paths) assert.ok(statSync(path).isFIFO());
  assert.equal(statSync(paths[0]!).mode & 0o777, 0o600);
  await fifos.make([join(dir, 'later.fifo')]);
  assert.equal(readFileSync(join(dir, 'calls'), 'utf8'), 'call\ncall\n');
});

test('a FIFO that cannot be made is an error that names it, and the next batch is a new one', async (t) => {
  const dir = await makeTempDir(t);
  const fifos = new FifoMaker(openSpawner(t));
  const taken = join(dir, 'taken');
  writeFileSync(taken, '');
  await assert.rejects(fifos.make([taken]), {
    code: 'StartFailed',
    message: /a FIFO could not be created: .*taken.*exists/,
  });
  await fifos.make([join(dir, 'free')]);
});

test('a FIFO that cannot be made fails who asked for it, and nobody else of the batch', async (t) => {
  const dir = await makeTempDir(t);
  const fifos = new FifoMaker(openSpawner(t));
  const path = (name: string) => join(dir, name);
  writeFileSync(path('taken'), '');
  const made = await Promise.allSettled([
    fifos.make([path('a'), path('b')]),
    fifos.make([path('c'), path('taken'), join(dir, 'no-such-folder', 'd')]),
    fifos.make([path('e')]),
  ]);
  assert.deepEqual(
    made.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  for (const name of ['a', 'b', 'c', 'e']) assert.ok(statSync(path(name)).isFIFO());
  const { reason } = made[1] as PromiseRejectedResult;
  assert.match(reason.message, /taken.*\n.*no-such-folder/);
  assert.doesNotMatch(reason.message, /\/c\b/, 'nor is blamed what was made');
});

test('the read end is opened without waiting for a writer, and reading without waiting for bytes', async (t) => {
  const path = await makeFifo(t);
  const reader = openReadEnd(path);
  const writer = openChildEnd(path);
  assert.throws(() => read(reader), { code: 'EAGAIN' });
  writeSync(writer, 'hello');
  assert.equal(read(reader), 'hello');
  closeSync(writer);
  assert.equal(read(reader), '', 'end of file');
  closeSync(reader);
});

test('bytes wait for the next reader as long as the child holds its end', async (t) => {
  const path = await makeFifo(t);
  const reader = openReadEnd(path);
  const writer = openChildEnd(path);
  closeSync(reader);
  writeSync(writer, 'nobody listens');
  const next = openReadEnd(path);
  assert.equal(read(next), 'nobody listens');
  closeAll([writer, next]);
});

test('a reader that comes when the writers are gone hears of the end', async (t) => {
  const path = await makeFifo(t);
  closeSync(openChildEnd(path));
  const socket = new Socket({ fd: openReadEnd(path), readable: true, writable: false });
  await once(socket.resume(), 'close');
});

test('a path that starts with a dash, and one with blanks, is a path', async (t) => {
  const dir = join(await makeTempDir(t), '-m x');
  mkdirSync(dir);
  await new FifoMaker(openSpawner(t)).make([join(dir, '-m')]);
  assert.ok(statSync(join(dir, '-m')).isFIFO());
});
