import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { VmPaths } from '../../../src/state/paths.ts';
import { closeAll, FifoMaker } from '../../../src/vm/host/fifos.ts';
import { makeRuntimeFolder, openReadEnds } from '../../../src/vm/host/runtime-folder.ts';
import { openFilesBelow } from '../../helpers/processes/open-files.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('the folder is the owner’s alone, and nothing of an earlier VM is in it', async (t) => {
  const paths = new VmPaths(join(await makeTempDir(t), 'web'));
  mkdirSync(paths.dir);
  writeFileSync(paths.exitRecord, 'exit 0\n');
  await makeRuntimeFolder(paths, [paths.fifo('stdout')], new FifoMaker(openSpawner(t)));
  assert.deepEqual(readdirSync(paths.dir), ['stdout.fifo']);
  assert.equal(statSync(paths.dir).mode & 0o777, 0o700);
});

test('a path that is too long for its sockets is refused with a remedy', async (t) => {
  const dir = join(await makeTempDir(t), 'x'.repeat(100));
  await assert.rejects(makeRuntimeFolder(new VmPaths(dir), [], new FifoMaker(openSpawner(t))), {
    code: 'HomeUnusable',
    message: /too long for a unix socket .* choose a shorter home/,
  });
  assert.equal(existsSync(dir), false);
});

test('a folder that cannot be made is a failed start', async (t) => {
  const dir = join(await makeTempDir(t), 'missing', 'web');
  await assert.rejects(makeRuntimeFolder(new VmPaths(dir), [], new FifoMaker(openSpawner(t))), {
    code: 'StartFailed',
    message: `the runtime folder ${dir} cannot be created: no such file or directory (ENOENT)`,
  });
});

test('when one stream cannot be opened, none stays open', async (t) => {
  const dir = await makeTempDir(t);
  const paths = new VmPaths(join(dir, 'web'));
  await makeRuntimeFolder(paths, [paths.fifo('stdout'), paths.fifo('stderr')], new FifoMaker(openSpawner(t)));
  const streams = openReadEnds(paths, ['stdout', 'stderr']);
  assert.deepEqual(
    streams.map(({ stream }) => stream),
    ['stdout', 'stderr'],
  );
  closeAll(streams.map(({ fd }) => fd));
  rmSync(paths.fifo('stderr'));
  assert.throws(() => openReadEnds(paths, ['stdout', 'stderr']), {
    code: 'StartFailed',
    message: `a stream cannot be opened: ${paths.fifo('stderr')}: no such file or directory (ENOENT)`,
  });
  assert.equal(openFilesBelow(dir), 0);
});
