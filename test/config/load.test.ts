import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { findConfig, loadConfig, parseConfig } from '../../src/config/load.ts';
import type { ConfigProblem } from '../../src/config/problems.ts';
import { detailsOf, serviceText } from '../helpers/config/harness.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monocore-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Writes a config and answers with its path. */
async function write(content: string | Uint8Array, name = 'monocore.toml'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

async function failure(file: string): Promise<{ message: string; problems: readonly ConfigProblem[] }> {
  try {
    await loadConfig(file);
  } catch (error) {
    const problems = detailsOf(error);
    return { message: (error as Error).message, problems };
  }
  assert.fail(`${file} was loaded`);
}

/** The one problem of a file that cannot be read at all. */
async function readProblem(file: string): Promise<ConfigProblem> {
  const { message, problems } = await failure(file);
  const [problem] = problems;
  assert.ok(problem);
  assert.equal(problems.length, 1);
  assert.deepEqual(
    { ...problem, message: '', expected: null },
    {
      file,
      line: 1,
      column: 1,
      length: 1,
      path: '',
      message: '',
      expected: null,
      source: '',
    },
  );
  assert.equal(message, `${file} cannot be read: ${problem.message}; nothing was started`);
  return problem;
}

test('loadConfig reads a config; its paths start at its own folder', async () => {
  await mkdir(join(folder, 'root'));
  await writeFile(join(folder, 'vmlinuz'), '');
  const file = await write(`\uFEFFkernel = "vmlinuz"\n${serviceText('rootfs = "./root"')}`);
  const config = await loadConfig(file);
  assert.equal(config.kernel, join(folder, 'vmlinuz'));
  assert.equal(config.services[0]?.rootfs, join(folder, 'root'));
});

test('the message counts the problems and says that nothing was started', async () => {
  const file = await write('[[service]]\nname = 1\nargs = 1\n');
  const { message, problems } = await failure(file);
  assert.equal(message, `${file} has 3 problems; nothing was started`);
  assert.deepEqual(new Set(problems.map((problem) => problem.file)), new Set([file]));
});

test('missing files are reported together with the other problems, in order of position', async () => {
  await writeFile(join(folder, 'plain'), '');
  await mkdir(join(folder, 'dir'));
  const second = '[[service]]\nname = "b"\ncommand = "x"\nrootfs = "plain"\n[[service]]\nname = "c"\ncommand = "x"\n';
  const third = 'rootfs = "plain/below"\n';
  const file = await write(`kernel = "dir"\n${serviceText('rootfs = "gone"', 'cpus = 0')}${second}${third}`);
  const { problems } = await failure(file);
  assert.deepEqual(
    problems.map(
      ({ line, column, path, message }) => `${line}:${column} ${path}: ${message.replace(`${folder}/`, '')}`,
    ),
    [
      '1:10 kernel: "dir" is not a file',
      '5:10 service[0].rootfs: there is no directory "gone"',
      '6:8 service[0].cpus: must be at least 1',
      '10:10 service[1].rootfs: "plain" is not a directory',
      '14:10 service[2].rootfs: there is no directory "plain/below"',
    ],
  );
});

test('parseConfig does not read the disk', () => {
  const config = parseConfig(serviceText('rootfs = "gone"'), '/nowhere/monocore.toml');
  assert.equal(config.services[0]?.rootfs, '/nowhere/gone');
});

test('parseConfig takes the limits of this host where none are given', () => {
  assert.throws(
    () => parseConfig(serviceText('cpus = 1000000'), 'monocore.toml'),
    (error) => /^is more than the \d+ that this host has$/.test(detailsOf(error)[0]?.message ?? ''),
  );
});

describe('the config of a folder', () => {
  for (const name of ['monocore.toml', 'monocore.yaml', 'monocore.yml', 'monocore.json']) {
    test(`is ${name} where that is the only one`, async () => {
      const file = await write('', name);
      assert.equal(findConfig(folder), file);
    });
  }

  test('is monocore.toml where there is none', () => {
    assert.equal(findConfig(folder), join(folder, 'monocore.toml'));
  });

  test('is an error where there are several', async () => {
    await write('', 'monocore.toml');
    await write('', 'monocore.yml');
    const file = await write('{}', 'monocore.json');
    assert.throws(
      () => findConfig(folder),
      (error) => {
        const [problem] = detailsOf(error);
        assert.equal(
          problem?.message,
          'monocore.toml, monocore.yml and monocore.json are here; name one with the -f option',
        );
        return true;
      },
    );
    assert.deepEqual((await loadConfig(file)).services, []);
  });
});

describe('a file that cannot be read', () => {
  test('a missing one: the message names the -f option and init', async () => {
    const hint = 'name another file with the -f option, or write a first one with monocore init';
    const problem = await readProblem(join(folder, 'monocore.toml'));
    assert.equal(problem.message, `there is no such file; ${hint}`);
    const here = await readProblem('no-such-config.toml');
    assert.equal(here.message, `there is no no-such-config.toml here; ${hint}`);
  });

  test('a directory', async () => {
    const problem = await readProblem(folder);
    assert.equal(problem.message, 'is a directory');
    assert.equal(problem.expected, `a file such as ${join(folder, 'monocore.toml')}`);
  });

  test('a file with another extension', async () => {
    for (const name of ['monocore.ini', 'monocore', 'monocore.toml.bak']) {
      const problem = await readProblem(await write('', name));
      assert.equal(problem.message, 'does not have the extension of a config');
      assert.equal(problem.expected, 'a file that ends in .toml, .yaml, .yml, .json');
    }
  });

  test('a file that is not UTF-8', async () => {
    const problem = await readProblem(await write(Uint8Array.of(0x61, 0xff, 0x0a)));
    assert.equal(problem.message, 'is not UTF-8 text');
  });

  test('a FIFO, which may never end', async () => {
    const fifo = join(folder, 'pipe.toml');
    execFileSync('mkfifo', [fifo]);
    assert.equal((await readProblem(fifo)).message, 'is not a regular file');
  });

  test('a file far larger than any config', async () => {
    const problem = await readProblem(await write('#'.repeat(1024 * 1024 + 1)));
    assert.equal(problem.message, 'is larger than 1 MiB');
  });

  test('a link that leads to itself: the message is the one of the system', async () => {
    const loop = join(folder, 'loop.toml');
    await symlink(loop, loop);
    assert.match((await readProblem(loop)).message, /^ELOOP: .*; name another file with the -f option$/);
  });

  test('a file without read permission', async () => {
    const file = await write(serviceText());
    await chmod(file, 0);
    await chmod(folder, 0o755);
    // Root may read anything, so the question is asked as another user.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      assert.equal((await readProblem(file)).message, 'you may not read this file');
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('a name with a NUL character', async () => {
    assert.match((await readProblem('a\0b.toml')).message, /null bytes/);
  });
});
