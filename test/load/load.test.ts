import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('load.ts', import.meta.url));

// The programs of a load are JavaScript for the built package, so the compiler does not see whether they fit it.
test('a load of two plain processes is measured: all their lines are in the files, and nothing is left', async () => {
  const load = '--services 2 --isolation none --lines 5 --seconds 1 --json'.split(' ');
  const { stdout } = await run(process.execPath, ['--import', 'tsx', PROGRAM, ...load, '--dir', tmpdir()]);
  const [{ figures }] = JSON.parse(stdout).results;
  const { services, failed, printedLines, writtenLines, misplacedLines, leftovers } = figures;
  assert.deepEqual([services, failed, leftovers], [2, [], []]);
  assert.deepEqual([printedLines, writtenLines, misplacedLines], [10, 10, 0]);
});

test('a load of VMs on a host without QEMU says what is missing', async () => {
  const load = ['--import', 'tsx', PROGRAM, '--isolation', 'vm', '--peers'];
  await assert.rejects(run(process.execPath, load, { env: { ...process.env, PATH: '/nonexistent' } }), {
    code: 1,
    stderr: /^load: qemu-system-\S+ is not installed; install the package \S+, or run monocore setup\n$/,
  });
});
