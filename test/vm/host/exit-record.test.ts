import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  exitOfChild,
  exitOfShellStatus,
  findOffence,
  MAX_RECORD_BYTES,
  makeBoundedRecord,
  readExitRecord,
} from '../../../src/vm/host/exit-record.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('a status above 128 is a signal, as shells count', () => {
  assert.deepEqual(exitOfShellStatus(0), { code: 0, signal: null });
  assert.deepEqual(exitOfShellStatus(127), { code: 127, signal: null });
  assert.deepEqual(exitOfShellStatus(134), { code: 134, signal: 'SIGABRT' }, 'not by its alias SIGIOT');
  assert.deepEqual(exitOfShellStatus(137), { code: 137, signal: 'SIGKILL' });
  assert.deepEqual(exitOfShellStatus(143), { code: 143, signal: 'SIGTERM' });
  assert.deepEqual(exitOfShellStatus(255), { code: 255, signal: null });
});

test('a child that a signal ended has the code that a shell gives it', () => {
  assert.deepEqual(exitOfChild(3, null), { code: 3, signal: null });
  assert.deepEqual(exitOfChild(null, 'SIGKILL'), { code: 137, signal: 'SIGKILL' });
  assert.deepEqual(exitOfChild(null, null), { code: null, signal: null });
});

test('only complete lines of a record count', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  assert.deepEqual(readExitRecord(path), { commandPid: null, exit: null, oomKilled: false }, 'there is none yet');
  const steps: [string, ReturnType<typeof readExitRecord>][] = [
    ['', { commandPid: null, exit: null, oomKilled: false }],
    ['started 41', { commandPid: null, exit: null, oomKilled: false }],
    ['52\n', { commandPid: 4152, exit: null, oomKilled: false }],
    ['exit 1', { commandPid: 4152, exit: null, oomKilled: false }],
    ['43\n', { commandPid: 4152, exit: { code: 143, signal: 'SIGTERM' }, oomKilled: false }],
  ];
  for (const [text, record] of steps) {
    appendFileSync(path, text);
    assert.deepEqual(readExitRecord(path), record, text);
  }
});

test('a status that no process can have does not count', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  for (const status of ['256', '999', '-1', '1e2']) {
    writeFileSync(path, `exit ${status}\n`);
    assert.equal(readExitRecord(path).exit, null, status);
  }
  for (let status = 0; status <= 255; status += 1) {
    writeFileSync(path, `exit ${status}\n`);
    assert.equal(readExitRecord(path).exit?.code, status);
  }
});

test('a command that was killed for lack of memory is told from one that was just killed', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  const killed = { code: 137, signal: 'SIGKILL' };
  for (const [text, oomKilled] of [
    ['exit 137\n', false],
    ['exit 137 oom\n', true],
  ] as const) {
    writeFileSync(path, text);
    assert.deepEqual(readExitRecord(path), { commandPid: null, exit: killed, oomKilled }, text);
  }
  writeFileSync(path, 'exit 137 oom');
  assert.equal(readExitRecord(path).exit, null, 'a torn line does not count');
});

test('a record of rubbish says nothing', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  writeFileSync(path, 'exit code\nstarted yes\nexit -1\nEXIT 0\n');
  appendFileSync(path, Buffer.alloc(4000, 0xff));
  assert.deepEqual(readExitRecord(path), { commandPid: null, exit: null, oomKilled: false });
});

test('the kernel ends a writer that fills a bounded record, whatever other files it may write', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  const fileBytes = await makeBoundedRecord(path, 5_000_000);
  assert.deepEqual([readExitRecord(path).exit, findOffence(path)], [null, null], 'nothing was written yet');
  const limit = `ulimit -c 0; ulimit -f ${fileBytes / 512}`;
  const write = (script: string) => spawnSync('/bin/sh', ['-c', `${limit}; ${script}`, 'sh', path]);
  assert.equal(write('echo "exit 7" >>"$1"; head -c 5000000 /dev/zero >"$1.disk"').status, 0);
  assert.deepEqual([readExitRecord(path).exit, findOffence(path)], [{ code: 7, signal: null }, null]);
  assert.equal(write('exec cat /dev/zero >>"$1"').signal, 'SIGXFSZ');
  assert.deepEqual(
    [readExitRecord(path).exit, findOffence(path)],
    [{ code: 7, signal: null }, 'flooded its exit port'],
  );
  const { size, blocks } = statSync(path);
  assert.ok(size === fileBytes && blocks * 512 <= 8 * MAX_RECORD_BYTES, `${size} bytes, ${blocks} blocks`);
});

test('a record that cannot be read is an error, not an empty one', async (t) => {
  const path = join(await makeTempDir(t), 'exit');
  mkdirSync(path);
  assert.throws(() => readExitRecord(path), { code: 'EISDIR' });
});
