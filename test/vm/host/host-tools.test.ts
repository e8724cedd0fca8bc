import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  findExecutable,
  findMkfs,
  findProgram,
  findQemu,
  findStaticBusybox,
  findVirtiofsd,
  hostArchitecture,
  isExecutableFile,
  isStaticElf,
  readQemuVersion,
} from '../../../src/vm/host/host-tools.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const busybox = findExecutable('busybox', '/', '/bin:/usr/bin');

const ownPath = process.env.PATH;

function setPath(t: TestContext, path: string): void {
  process.env.PATH = path;
  t.after(() => {
    process.env.PATH = ownPath;
  });
}

test('a static program is told from one that needs a loader, and from what is no program', async (t) => {
  const dir = await makeTempDir(t);
  const script = writeProgram(join(dir, 'script'), 'true');
  const empty = join(dir, 'empty');
  writeFileSync(empty, '');
  const cutOff = join(dir, 'cut-off');
  writeFileSync(cutOff, Buffer.from('\x7fELF', 'latin1'));
  assert.equal(isStaticElf(busybox), true);
  for (const path of ['/bin/sh', process.execPath, script, empty, cutOff]) assert.equal(isStaticElf(path), false, path);
});

test('a busybox that needs shared libraries is passed over', async (t) => {
  const dir = await makeTempDir(t);
  copyFileSync('/bin/sh', join(dir, 'busybox'));
  copyFileSync(busybox, join(dir, 'busybox-static'));
  setPath(t, dir);
  assert.equal(findStaticBusybox(), join(dir, 'busybox-static'));
});

test('programs are found in the path, then where packages hide them', async (t) => {
  const dir = await makeTempDir(t);
  const hidden = await makeTempDir(t);
  writeProgram(join(hidden, 'tool'), 'true');
  setPath(t, dir);
  assert.equal(findProgram('tool'), null);
  assert.equal(findProgram('tool', [hidden]), join(hidden, 'tool'));
  writeProgram(join(dir, 'tool'), 'true');
  assert.equal(findProgram('tool', [hidden]), join(dir, 'tool'));
  setPath(t, '');
  assert.equal(findProgram('sh'), null, 'an empty path is not the working directory');
});

test('a program that is missing is named with its package', async (t) => {
  setPath(t, await makeTempDir(t));
  assert.throws(() => findQemu('x86_64'), {
    code: 'ToolMissing',
    message: /qemu-system-x86_64 is not installed; install the package qemu-system-x86, or run monocore setup/,
    details: { package: 'qemu-system-x86' },
  });
  assert.throws(() => findQemu('aarch64'), { details: { package: 'qemu-system-arm' } });
});

test('mkfs is found for a user whose path lacks the folders for administrators', async (t) => {
  setPath(t, await makeTempDir(t));
  assert.match(findMkfs(), /^(\/usr)?\/sbin\/mkfs\.ext4$/);
});

test('what is installed is found', () => {
  assert.match(findQemu(hostArchitecture()), /\/qemu-system-(x86_64|aarch64)$/);
  assert.match(findVirtiofsd(), /\/virtiofsd$/);
});

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

test('the version of QEMU is read from what it says', async (t) => {
  const qemu = writeProgram(join(await makeTempDir(t), 'qemu'), "echo 'QEMU emulator version 7.2.22 (Debian)'");
  assert.equal(await readQemuVersion(qemu), '7.2.22');
  writeProgram(qemu, 'echo something else');
  assert.equal(await readQemuVersion(qemu), 'unknown');
});
