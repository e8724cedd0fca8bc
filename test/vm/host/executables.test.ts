import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { findExecutable, isExecutableFile } from '../../../src/vm/host/executables.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('a name is searched in the path, the first program wins', async (t) => {
  const dir = await makeTempDir(t);
  for (const name of ['one', 'two']) mkdirSync(join(dir, name));
  mkdirSync(join(dir, 'one', 'folder'));
  writeFileSync(join(dir, 'one', 'text'), 'not executable', { mode: 0o644 });
  const expected = ['folder', 'text', 'tool'].map((name) => writeProgram(join(dir, 'two', name), 'true'));
  const searchPath = `${dir}/one:${dir}/missing:${dir}/two`;
  assert.deepEqual(
    ['folder', 'text', 'tool'].map((name) => findExecutable(name, '/', searchPath)),
    expected,
  );
  const first = writeProgram(join(dir, 'one', 'tool'), 'true');
  assert.equal(findExecutable('tool', '/', searchPath), first);
});

test('a path is taken from the working directory, and never searched', async (t) => {
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'bin'));
  const tool = writeProgram(join(dir, 'bin', 'tool'), 'true');
  assert.equal(findExecutable('./tool', join(dir, 'bin'), '/bin'), tool);
  assert.equal(findExecutable('bin/tool', dir, '/bin'), tool);
  assert.equal(findExecutable(tool, '/', ''), tool);
  assert.throws(() => findExecutable('./sh', dir, '/bin'), {
    code: 'StartFailed',
    message: `${dir}/sh is not an executable file`,
  });
});

test('a relative part of the path is taken from the working directory', async (t) => {
  const dir = await makeTempDir(t);
  const tool = writeProgram(join(dir, 'tool'), 'true');
  assert.equal(findExecutable('tool', dir, '/nonexistent:.'), tool);
});

test('a command that is nowhere is refused, naming where it was searched', () => {
  assert.throws(() => findExecutable('no-such-tool', '/', '/bin:/sbin'), {
    code: 'StartFailed',
    message: 'command not found: no-such-tool (searched in /bin:/sbin)',
  });
});

test('neither folders nor what is missing are executable', async (t) => {
  const dir = await makeTempDir(t);
  assert.equal(isExecutableFile(dir), false);
  assert.equal(isExecutableFile(join(dir, 'missing')), false);
  assert.equal(isExecutableFile(process.execPath), true);
});
