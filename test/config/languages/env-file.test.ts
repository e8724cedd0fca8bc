import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { parseEnvFile } from '../../../src/config/languages/env-file.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { detailsOf, parse, parseService, serviceText, shortProblems } from '../../helpers/config/harness.ts';

const envsOf = (text: string) => {
  const { envs, problems } = parseEnvFile(text);
  assert.deepEqual(problems, []);
  return envs;
};
const faultsOf = (text: string) => parseEnvFile(text).problems.map(({ line, message }) => `${line}: ${message}`);

describe('a file of variables', () => {
  test('has one variable per line, comments and blank lines', () => {
    const text = '\uFEFF# a comment\n\nA=1\r\nexport B = two words # comment\n  C=a#b\nD=\nE=x=y\nA=2';
    assert.deepEqual(envsOf(text), { A: '2', B: 'two words', C: 'a#b', D: '', E: 'x=y' });
  });

  test('has values in quotes, which may span lines', () => {
    const text = `A='one # \\n' # comment\nB="two\\n\\"lines\\"\n\\$ # \\\\"\nC=\`it's "so"\`\nD=''\n`;
    assert.deepEqual(envsOf(text), { A: 'one # \\n', B: 'two\n"lines"\n\\$ # \\', C: `it's "so"`, D: '' });
  });

  test('leaves references to the daemon, except in single quotes, where they are literal', () => {
    assert.deepEqual(envsOf(`A=\${HOME}/x\nB="\${X:-y}"\nC='$5 \${HOME}'\n`), {
      A: `\${HOME}/x`,
      B: `\${X:-y}`,
      C: `$$5 $$\{HOME}`,
    });
  });

  test('reports every problem with its line', () => {
    assert.deepEqual(faultsOf(`A="1\n2"\nnothing\n1A=x\nB="open\nC=2\nD=\${open\n=x`), [
      '3: has no "="',
      '4: "1A" is not a valid variable name',
      '5: the value of "B" has no closing quote',
      `7: "\${open" has no closing "}"; a literal "$" is written "$$"`,
      '8: has no "="',
    ]);
  });

  test('is read as by Node, where both understand it', () => {
    const name = fc.stringMatching(/^[A-Z_]{1,3}$/);
    const bare = fc.stringMatching(/^[a-z0-9=.,:/-]{0,6}$/);
    const quoted = fc.stringMatching(/^[a-z #=\n]{0,6}$/);
    const value = fc.oneof(
      bare,
      quoted.map((text) => `"${text}"`),
      quoted.map((text) => `'${text}'`),
    );
    const line = fc.oneof(
      fc.tuple(name, value).map(([key, text]) => `${key}=${text}`),
      fc.constantFrom('', '# x'),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join('\n');
        assert.deepEqual({ ...envsOf(text) }, { ...parseEnv(text) });
      }),
    );
  });

  test('of a mebibyte is read at once, whatever its content', () => {
    for (const text of ['"', "A='\n", '\\', 'A="\\', ' ', 'A=', '\n', 'A=#']) {
      parseEnvFile(text.repeat(2 ** 20 / text.length));
    }
  });
});

describe('env_file', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'monocore-config-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function load(keys: string, files: Record<string, string | Uint8Array>) {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const file = join(folder, 'monocore.toml');
    const group = '[[group]]\nname = "g"\nenvs = { A = "group", B = "group", C = "group", D = "group" }\n';
    const named = '[[group.env]]\nname = "n"\nenvs = { B = "named", C = "named", D = "named" }\n';
    await writeFile(file, `${serviceText('group = "g"', 'group_envs = ["n"]', keys)}${group}${named}`);
    return loadConfig(file);
  }

  test('wins over the group, and gives way to envs', async () => {
    const { services } = await load('env_file = "a.env"\nenvs = { D = "own" }', { 'a.env': 'C=file\nD=file\nE=file' });
    assert.deepEqual(services[0]?.envs, { A: 'group', B: 'named', C: 'file', D: 'own', E: 'file' });
  });

  test('may be several files, of which later ones win', async () => {
    const files = { 'a.env': 'X=a\nY=a', 'b.env': 'Y=b' };
    const { services } = await load('env_file = ["a.env", "./b.env"]', files);
    assert.deepEqual([services[0]?.envs.X, services[0]?.envs.Y], ['a', 'b']);
  });

  test('is reported with the line of a problem, and as a whole where it cannot be read', async () => {
    const files = { 'a.env': 'X=a\noops\n', 'b.env': Uint8Array.of(0xff) };
    await assert.rejects(load('env_file = ["a.env", "gone.env", "b.env", "."]', files), (error) => {
      assert.deepEqual(
        detailsOf(error).map(({ column, path, message }) => `${column} ${path}: ${message.replaceAll(folder, '')}`),
        [
          '13 service[0].env_file[0]: /a.env:2: has no "="',
          '22 service[0].env_file[1]: there is no file "/gone.env"',
          '34 service[0].env_file[2]: "/b.env" is not UTF-8 text',
          '43 service[0].env_file[3]: "" is not a file',
        ],
      );
      return true;
    });
  });

  test('must be a path or an array of paths', () => {
    assert.deepEqual(shortProblems(serviceText('env_file = 1')), [
      '4:12 service[0].env_file: must be a string or an array, not a number',
    ]);
    assert.deepEqual(shortProblems(serviceText('env_file = ["a", 1]')), [
      '4:18 service[0].env_file[1]: must be a string, not a number',
    ]);
  });
});

describe('group_envs', () => {
  test('takes variables of its own group by name', () => {
    const group =
      '[[group]]\nname = "g"\nenv = [{ name = "n", envs = ["A=1"] }, { name = "m", envs = { A = "2", B = "3" } }]\n';
    const config = parse(
      `${group}${serviceText('group = "g"', 'group_envs = ["n", "m"]')}${serviceText('group = "g"').replace('web', 'other')}`,
    );
    assert.deepEqual(
      config.services.map(({ envs }) => envs),
      [{ A: '2', B: '3' }, {}],
    );
  });

  test('names existing tables, each once', () => {
    const group = '[[group]]\nname = "g"\n[[group.env]]\nname = "web"\nenvs = {}\n[[group.env]]\nname = "empty"\n';
    assert.deepEqual(shortProblems(`${group}${serviceText('group = "g"', 'group_envs = ["web", "wbe", "web"]')}`), [
      '6:1 group[0].env[1].envs: is missing',
      '12:22 service[0].group_envs[1]: the group "g" has no [[group.env]] "wbe"; did you mean "web"?',
      '12:29 service[0].group_envs[2]: "web" is named twice',
    ]);
  });
});

describe('references in values', () => {
  test('stay as they are', () => {
    const value = `$$ \${A} \${B:-c d} $e $`;
    assert.deepEqual(parseService(`envs = { A = '${value}' }`).envs, { A: value });
  });

  for (const [value, fault] of [
    [`\${`, `"\${" has no closing "}"`],
    [`a\${B`, `"\${B" has no closing "}"`],
    [`\${}`, `"\${}" is neither \${NAME} nor \${NAME:-default}`],
    [`\${1}`, `"\${1}" is neither \${NAME} nor \${NAME:-default}`],
    [`\${A-b}`, `"\${A-b}" is neither \${NAME} nor \${NAME:-default}`],
    [`\${A:-\${B}}`, `"\${A:-\${B}" is neither \${NAME} nor \${NAME:-default}`],
  ] as const) {
    test(`${value} is a problem`, () => {
      assert.deepEqual(shortProblems(serviceText(`envs = ['A=${value}']`)), [
        `4:9 service[0].envs[0]: ${fault}; a literal "$" is written "$$"`,
      ]);
    });
  }
});

describe('secrets', () => {
  test('name a file each, relative to the config', () => {
    const expected = [
      { name: 'db_password', path: '/run/pw' },
      { name: 'key.pem', path: '/etc/demo/key' },
    ];
    assert.deepEqual(parseService('secrets = ["db_password=/run/pw", "key.pem=key"]').secrets, expected);
    assert.deepEqual(parseService('secrets = { db_password = "/run/pw", "key.pem" = "key" }').secrets, expected);
  });

  test('have names without slashes', () => {
    assert.deepEqual(shortProblems(serviceText('secrets = ["..=a", "a/b=c", "a", "a=", "b=x", "b=y"]')), [
      '4:12 service[0].secrets[0]: ".." is not a valid name of a secret',
      '4:20 service[0].secrets[1]: "a/b" is not a valid name of a secret',
      '4:29 service[0].secrets[2]: has no "="',
      '4:34 service[0].secrets[3]: has no path after the "="',
      '4:47 service[0].secrets[5]: "b" is set twice',
    ]);
  });
});
