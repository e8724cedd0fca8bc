import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { identify, isSameProcess, signalProcess } from '../../src/lib/proc.ts';
import { makeTempDir } from '../helpers/temp.ts';

async function startSleep(t: TestContext, program = 'sleep') {
  const child = spawn(program, ['1000'], { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited, identity: identify(child.pid!)! };
}

test('a process is the same as long as it lives', () => {
  const identity = identify(process.pid)!;
  assert.equal(identity.pid, process.pid);
  assert.match(identity.boot_id, /^[0-9a-f-]{36}$/);
  assert.equal(isSameProcess(identity), true);
});

test('a process that has ended is nobody, and is not signalled', async (t) => {
  const { child, exited, identity } = await startSleep(t);
  child.kill('SIGKILL');
  await exited;
  assert.equal(identify(identity.pid), null);
  assert.equal(isSameProcess(identity), false);
  assert.equal(signalProcess(identity, 'SIGTERM', 'process'), false);
  assert.equal(signalProcess(identity, 'SIGTERM', 'group'), false);
});

test('a process with a pid that another one had is never signalled', async (t) => {
  const { child, identity } = await startSleep(t);
  const others = [
    { ...identity, start_time: identity.start_time - 1 },
    { ...identity, boot_id: '00000000-0000-0000-0000-000000000000' },
  ];
  for (const other of others) {
    assert.equal(isSameProcess(other), false);
    for (const target of ['process', 'group'] as const) assert.equal(signalProcess(other, 'SIGKILL', target), false);
  }
  assert.equal(isSameProcess(identity), true);
  assert.equal(child.signalCode, null);
});

test('the very process is signalled, alone or with its group', async (t) => {
  for (const target of ['process', 'group'] as const) {
    const { exited, identity } = await startSleep(t);
    assert.equal(signalProcess(identity, 'SIGTERM', target), true);
    assert.deepEqual(await exited, [null, 'SIGTERM']);
  }
});

test('a name with blanks and parentheses does not hide the start time', async (t) => {
  const odd = join(await makeTempDir(t), 'a ) R 1 (b');
  symlinkSync('/bin/sleep', odd);
  const { identity } = await startSleep(t, odd);
  const plain = await startSleep(t);
  assert.ok(identity.start_time > 0 && identity.start_time <= plain.identity.start_time);
});
