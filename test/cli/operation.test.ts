import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { catchInterrupt } from '../../src/cli/operation.ts';
import { TYPESCRIPT_OPTIONS } from '../helpers/processes/typescript.ts';

test('Ctrl-C is left to the command while rows are shown on a terminal', async () => {
  const fixture = fileURLToPath(new URL('../fixtures/interrupted-progress.ts', import.meta.url));
  const child = spawn(process.execPath, [...TYPESCRIPT_OPTIONS, fixture], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [first] = await once(child.stdout, 'data');
  assert.equal(first.toString(), 'ready\n');
  child.kill('SIGINT');
  assert.equal(await text(child.stdout), 'interrupted\n');
  assert.deepEqual(await exited, [0, null]);
});

test('a released interrupt leaves no listener behind', () => {
  const before = process.listenerCount('SIGINT');
  const interrupt = catchInterrupt();
  assert.equal(process.listenerCount('SIGINT'), before + 1);
  interrupt.release();
  assert.equal(process.listenerCount('SIGINT'), before);
});
