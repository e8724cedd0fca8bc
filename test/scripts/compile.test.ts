import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTempDir } from '../helpers/temp.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = [
  'src/lib',
  'src/vm/process/shim',
  'src/vm/qemu/jail',
  'src/vm/qemu/tsc',
  'src/vm/guest/agent',
  'workers/spawner/launch',
  'workers/logs/format',
];

test('a guest’s agent is small', () => {
  for (const name of ['x64', 'arm64']) {
    const { size } = statSync(join(ROOT, `src/vm/guest/agent/${name}/monocore-agent`));
    assert.ok(size <= 100 * 1024, `${name}: ${size} bytes`);
  }
});

test('the committed binaries are those of their sources, and a changed source or binary is named', async (t) => {
  const dir = await makeTempDir(t);
  for (const folder of FOLDERS) cpSync(join(ROOT, folder), join(dir, folder), { recursive: true });
  const compile = (...args: string[]) => {
    const command = ['--import', import.meta.resolve('tsx'), join(ROOT, 'scripts/compile.ts'), ...args];
    const { status, stderr } = spawnSync(process.execPath, command, { cwd: dir, encoding: 'utf8' });
    return {
      status,
      named: stderr
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ')[0]),
    };
  };
  assert.deepEqual(compile('--check'), { status: 0, named: [] });

  const binary = 'src/vm/process/shim/arm64/monocore-shim';
  appendFileSync(join(dir, binary), '\0');
  assert.deepEqual(compile('--check'), { status: 1, named: [binary] });

  const source = join(dir, 'src/vm/guest/agent/job.c');
  writeFileSync(source, readFileSync(source, 'utf8').replace('CANNOT_START = 125', 'CANNOT_START = 124'));
  const agents = ['x64', 'arm64'].map((name) => `src/vm/guest/agent/${name}/monocore-agent`);
  assert.deepEqual(compile('--check'), { status: 1, named: [binary, ...agents] });

  assert.deepEqual(compile(), { status: 0, named: [] });
  assert.deepEqual(compile('--check'), { status: 0, named: [] });
  assert.deepEqual(readFileSync(join(dir, binary)), readFileSync(join(ROOT, binary)));
});
