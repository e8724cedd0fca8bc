// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references in variables look like that
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { findConfig } from '../../src/config/find.ts';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
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

/** The reason why a file cannot be read: its message is its one problem. */
async function reasonOf(file: string): Promise<string> {
  const { message, problems } = await failure(file);
  assert.deepEqual(problems, [{ file, line: 1, column: 1, length: 1, path: '', message, expected: null, source: '' }]);
  const [nothing, reason] = message.split(`${file} cannot be read: `);
  assert.equal(nothing, '');
  return reason!;
}

test('loadConfig reads a config; its paths start at its own folder', async () => {
  await mkdir(join(folder, 'root'));
  await writeFile(join(folder, 'vmlinuz'), '');
  const file = await write(`\uFEFFkernel = "vmlinuz"\n${serviceText('rootfs = "./root"')}`);
  const config = await loadConfig(file);
  assert.equal(config.kernel, join(folder, 'vmlinuz'));
  assert.equal(config.services[0]?.rootfs, join(folder, 'root'));
});

describe('references in variables', () => {
  const withEnvs = (...envs: string[]) => serviceText(`envs = ${JSON.stringify(envs)}`, 'env_file = "envs"');
  beforeEach(async () => {
    process.env.MONOCORE_TEST_SHELL = 'from the shell';
    await writeFile(join(folder, 'envs'), 'FILE="<${MONOCORE_TEST_SHELL}>"\nLITERAL=\'${X}\'\n');
  });
  afterEach(() => {
    delete process.env.MONOCORE_TEST_SHELL;
  });

  test('are replaced from the environment, which wins, and from .env beside the config', async () => {
    const dotEnv =
      'MONOCORE_TEST_SHELL=no\nMONOCORE_TEST_DOT=dot\nMONOCORE_TEST_BOTH=${MONOCORE_TEST_DOT}/${MONOCORE_TEST_SHELL}\n';
    await writeFile(join(folder, '.env'), dotEnv);
    const file = await write(withEnvs('A=${MONOCORE_TEST_SHELL}', 'B=${MONOCORE_TEST_BOTH}', 'C=$$${NO:-none}'));
    const { services } = await loadConfig(file);
    assert.deepEqual(services[0]?.envs, {
      FILE: '<from the shell>',
      LITERAL: '${X}',
      A: 'from the shell',
      B: 'dot/from the shell',
      C: '$none',
    });
  });

  test('without a value are reported at their place, all at once', async () => {
    const { problems } = await failure(
      await write(withEnvs('A=${MONOCORE_TEST_ONE}', 'B=1', 'C=${MONOCORE_TEST_TWO}')),
    );
    assert.deepEqual(
      problems.map(({ line, message }) => `${line} ${message.split(';')[0]}`),
      ['4 A refers to MONOCORE_TEST_ONE, which is not set', '4 C refers to MONOCORE_TEST_TWO, which is not set'],
    );
  });

  test('without a value are reported once, where they are written', async () => {
    await writeFile(join(folder, 'envs'), 'FILE=${MONOCORE_TEST_FILE}\n');
    const text = `[defaults]
envs = ["A=\${MONOCORE_TEST_DEFAULT}"]
env_file = "envs"
[[group]]
name = "g"
envs = ["B=\${MONOCORE_TEST_GROUP}"]
[[group.env]]
name = "more"
envs = ["C=\${MONOCORE_TEST_NAMED}"]
`;
    const services = ['one', 'two'].map(
      (name) => `[[service]]\nname = "${name}"\ngroup = "g"\ngroup_envs = ["more"]\ncommand = "true"\n`,
    );
    const { problems } = await failure(await write(text + services.join('')));
    assert.deepEqual(
      problems.map(({ line, path, message }) => `${line} ${path}: ${message.split(',')[0]}`),
      [
        '2 defaults.envs.A: A refers to MONOCORE_TEST_DEFAULT',
        '3 defaults.env_file: FILE refers to MONOCORE_TEST_FILE',
        '6 group[0].envs.B: B refers to MONOCORE_TEST_GROUP',
        '9 group[0].env[0].envs.C: C refers to MONOCORE_TEST_NAMED',
      ],
    );
  });

  test('of services that are not chosen need no value', async () => {
    const file = await write(`${serviceText('envs = ["A=${MONOCORE_TEST_ONE}"]', 'profiles = ["debug"]')}`);
    assert.deepEqual((await loadConfig(file)).services, []);
  });

  test('make the problems of .env matter', async () => {
    await writeFile(join(folder, '.env'), 'nonsense\n');
    // Neither a comment nor what only looks like a reference makes it matter.
    const unrelated = `# \${X}\n${serviceText("args = ['${HOME}', '$${Y}']")}`;
    assert.equal((await loadConfig(await write(unrelated))).services.length, 1);
    const { problems } = await failure(await write(withEnvs('A=${MONOCORE_TEST_SHELL}')));
    assert.match(problems[0]!.message, /\.env:1: has no "="/);
  });
});

test('the message counts the problems', async () => {
  const file = await write('[[service]]\nname = 1\nargs = 1\n');
  const { message, problems } = await failure(file);
  assert.equal(message, `${file} has 3 problems`);
  assert.deepEqual(new Set(problems.map((problem) => problem.file)), new Set([file]));
});

test('missing files are reported together with the other problems, in order of position', async () => {
  await writeFile(join(folder, 'plain'), '');
  await mkdir(join(folder, 'dir'));
  const second = '[[service]]\nname = "b"\ncommand = "x"\nrootfs = "plain"\n[[service]]\nname = "c"\ncommand = "x"\n';
  const third = 'rootfs = "plain/below"\nvolumes = ["/gone/data:/data"]\n';
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
      '15:12 service[2].volumes[0]: there is no file or directory "/gone/data"; create it first',
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
          `${folder} has several configs: monocore.toml, monocore.yml and monocore.json; name one with the -f option`,
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
    assert.equal(await reasonOf(join(folder, 'monocore.toml')), `there is no such file; ${hint}`);
    assert.equal(await reasonOf('no-such-config.toml'), `there is no no-such-config.toml here; ${hint}`);
  });

  test('a directory', async () => {
    const advice = `name a file in it, such as ${join(folder, 'monocore.toml')}`;
    assert.equal(await reasonOf(folder), `it is a directory; ${advice}`);
  });

  test('a file with another extension', async () => {
    for (const name of ['monocore.ini', 'monocore', 'monocore.toml.bak']) {
      const reason = await reasonOf(await write('', name));
      assert.equal(reason, 'the name of a config ends in .toml, .yaml, .yml or .json');
    }
  });

  test('a file that is not UTF-8', async () => {
    assert.equal(await reasonOf(await write(Uint8Array.of(0x61, 0xff, 0x0a))), 'it is not UTF-8 text');
  });

  test('a FIFO, which may never end', async () => {
    const fifo = join(folder, 'pipe.toml');
    execFileSync('mkfifo', [fifo]);
    assert.equal(await reasonOf(fifo), 'it is not a regular file');
  });

  test('a file far larger than any config', async () => {
    assert.equal(await reasonOf(await write('#'.repeat(1024 * 1024 + 1))), 'it is larger than 1 MiB');
  });

  test('a link that leads to itself: the message has the reason and code of the system', async () => {
    const loop = join(folder, 'loop.toml');
    await symlink(loop, loop);
    assert.match(await reasonOf(loop), /^too many .* \(ELOOP\); name another file with the -f option$/);
  });

  test('a file without read permission', async () => {
    const file = await write(serviceText());
    await chmod(file, 0);
    await chmod(folder, 0o755);
    // Root may read anything, so the question is asked as another user.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      assert.equal(await reasonOf(file), 'permission denied; give your user access to it and its folders');
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('a name with a NUL character', async () => {
    assert.match(await reasonOf('a\0b.toml'), /null bytes/);
  });
});
