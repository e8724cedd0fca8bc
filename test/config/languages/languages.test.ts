/** The same config in TOML, YAML and JSON: the same values, the same problems, each with its place. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../../../src/config/load.ts';
import { detailsOf, HOST } from '../../helpers/config/harness.ts';
import { rounds } from '../../helpers/rounds.ts';

type Language = 'toml' | 'yaml' | 'yml' | 'json';

const parseAs = (language: Language, text: string) => parseConfig(text, `/etc/demo/monocore.${language}`, HOST);

/** Each problem as `line:column+length path: message`. */
function problemsAs(language: Language, text: string): string[] {
  try {
    parseAs(language, text);
  } catch (error) {
    return detailsOf(error).map(({ line, column, length, path, message }) => {
      const where = path === '' ? '' : `${path}: `;
      return `${line}:${column}+${length} ${where}${message}`;
    });
  }
  assert.fail(`no problem was found in:\n${text}`);
}

const TOML = `kernel = "vmlinuz"
[[group]]
name = "g"
env = [{ name = "e", envs = ["A=1"] }]
[[service]]
name = "web"
group = "g"
command = "x"
args = ["a", "b\\n"]
ports = ["80", "53/udp"]
ram = "1GiB"
[service.log]
keep = 3
`;
const YAML = `# the same
kernel: vmlinuz
group:
  - name: g
    env: [{ name: e, envs: [A=1] }]
service:
  - name: &name web
    group: g
    command: x
    args:
    - a
    - "b\\n"
    ports: ["80", 53/udp]
    ram: 1GiB
    log: { keep: 3 }
`;
const JSON_TEXT = JSON.stringify(
  {
    kernel: 'vmlinuz',
    group: [{ name: 'g', env: [{ name: 'e', envs: ['A=1'] }] }],
    service: [
      {
        name: 'web',
        group: 'g',
        command: 'x',
        args: ['a', 'b\n'],
        ports: ['80', '53/udp'],
        ram: '1GiB',
        log: { keep: 3 },
      },
    ],
  },
  null,
  '\t',
);

test('a config means the same in every language', () => {
  const expected = parseAs('toml', TOML);
  assert.deepEqual(parseAs('yaml', YAML), expected);
  assert.deepEqual(parseAs('yml', YAML), expected);
  assert.deepEqual(parseAs('json', JSON_TEXT), expected);
});

test('an empty document has no services, but JSON has no empty documents', () => {
  for (const text of ['', '# nothing\n', '---\n', '---\n...\n', 'null']) {
    assert.deepEqual(parseAs('yaml', text).services, [], JSON.stringify(text));
  }
  assert.deepEqual(parseAs('json', '{}').services, []);
  assert.deepEqual(problemsAs('json', ''), ['1:1+1 not JSON: the file ends too early']);
});

test('problems are found at the same values', () => {
  assert.deepEqual(problemsAs('toml', TOML.replace('"80"', 'true').replace('keep = 3', 'kep = 3')), [
    '10:10+4 service[0].ports[0]: must be a string, not a boolean',
    '13:1+3 service[0].log.kep: unknown key; did you mean "keep"?',
  ]);
  assert.deepEqual(problemsAs('yaml', YAML.replace('"80"', 'true').replace('keep: 3', 'kep: 3')), [
    '13:13+4 service[0].ports[0]: must be a string, not a boolean',
    '15:12+3 service[0].log.kep: unknown key; did you mean "keep"?',
  ]);
  assert.deepEqual(problemsAs('json', JSON_TEXT.replace('"80"', 'true').replace('"keep"', '"kep"')), [
    '26:5+4 service[0].ports[0]: must be a string, not a boolean',
    '31:5+5 service[0].log.kep: unknown key; did you mean "keep"?',
  ]);
});

test('a missing key is reported at the table that lacks it', () => {
  assert.deepEqual(problemsAs('yaml', 'service:\n  - name: a\n'), ['2:5+7 service[0].command: is missing']);
  assert.deepEqual(problemsAs('json', '{"service": [{"name": "a"}]}'), ['1:14+13 service[0].command: is missing']);
});

describe('TOML', () => {
  test('positions are right after a string of almost a mebibyte', () => {
    const quotes = [(text: string) => `"${text}"`, (text: string) => `'${text}'`, (text: string) => `"""\n${text}"""`];
    for (const [index, quoted] of quotes.entries()) {
      const text = `[[service]]\nname = "web"\ncommand = "x"\nargs = [${quoted('é'.repeat(900_000 / 2))}, true]\n`;
      const line = index === 2 ? 5 : 4;
      const column = index === 2 ? 450_006 : 450_013;
      assert.deepEqual(problemsAs('toml', text), [
        `${line}:${column}+4 service[0].args[1]: must be a string, not a boolean`,
      ]);
    }
  });

  test('a key is found behind any valid text', () => {
    const values = [
      `"a \\" ] # '''"`,
      `'\\'`,
      `"""a\n""b""" # "`,
      `""""a"""""`,
      `'''\n''a'' ' '''`,
      `'''''a'''''`,
      '1979-05-27 07:32:00',
      '1979-05-27',
      '07:32:00',
      '[ # ]\n1, [2, "]"], ]',
      '{ a = 1, b.c = [{ d = "}" }] }',
      '-1_000.5e-3',
      'inf',
      '"\\\\"',
    ];
    for (const value of values) {
      const before = `x = ${value}`;
      const lines = before.split('\n').length;
      const problems = problemsAs(
        'toml',
        `${before} # c\n"b\\u00e9\\t\t" . 'c' = ${value}\n[[service]] # d\nname = 7\ncommand="x"\n`,
      );
      const place = `${2 * lines + 2}:8+1 service[0].name: must be a string, not a number`;
      assert.equal(problems.at(-1), place, value);
      assert.equal(problems.length, 3, value);
      assert.match(problems[1] ?? '', /^\d+:1\+12 "bé\\t\\t": unknown key/, value);
    }
  });
});

describe('YAML', () => {
  const cases: [title: string, text: string, problem: string][] = [
    ['a second document', 'kernel: a\n---\nkernel: b\n', '2:1+3 not YAML: there is more than one document'],
    ['a key that is there twice', 'kernel: a\nkernel: b\n', '2:1+6 not YAML: duplicate key "kernel"'],
    ['a tag of its own', 'kernel: !env HOME\n', '1:9+4 not YAML: tags are not allowed'],
    ['a known tag', 'kernel: !!binary aGk=\n', '1:18+4 not YAML: tags are not allowed'],
    ['a tag on a table', 'service: [!!map { name: a }]\n', '1:17+11 not YAML: tags are not allowed'],
    ['a key that is a list', '? [a]\n: b\n', '1:3+1 not YAML: a key must be a string'],
    ['a list as document', '- a\n', '1:1+3 not YAML: the document must be a mapping'],
    ['an anchor that is not there', 'kernel: *k\n', '1:9+2 not YAML: unknown anchor'],
    ['an anchor in itself', 'service: &s [*s]\n', '1:13+4 not YAML: values are nested more than 64 levels deep'],
    ['a tab as indentation', 'group:\n\t- name: g\n', '2:1+1 not YAML: tabs are not allowed as indentation'],
    ['a missing quote', 'kernel: "a\n', '1:11+1 not YAML: this string has no closing quote'],
  ];
  for (const [title, text, problem] of cases) {
    test(`${title} is refused`, () => assert.deepEqual(problemsAs('yaml', text), [problem]));
  }

  test('an anchor may be redefined, and problems of its value are reported at the alias', () => {
    const text =
      'service:\n  - &a { name: a, command: x }\n  - { name: b, command: x, envs: &e { A: 1 } }\n  - { name: c, command: x, envs: *e }\n';
    assert.deepEqual(problemsAs('yaml', text), [
      '3:42+1 service[1].envs.A: must be a string, not a number',
      '4:34+2 service[2].envs.A: must be a string, not a number',
    ]);
    assert.deepEqual(problemsAs('yaml', 'service:\n  - &a { name: a, command: x }\n  - *a\n'), [
      '3:5+2 service[1].name: "a" is already the name of service[0]',
    ]);
  });

  test('words that were booleans in YAML 1.1 are text', () => {
    const text = 'service:\n- { name: no, command: yes, envs: { A: on, B: 012, C: 2020-01-01 } }\n';
    assert.deepEqual(problemsAs('yaml', text), ['2:47+3 service[0].envs.B: must be a string, not a number']);
  });

  test('a merge key is a key like any other', () => {
    assert.deepEqual(problemsAs('yaml', 'x: &x {}\n<<: *x\n').at(-1), '2:1+2 "<<": unknown key');
  });

  test('aliases that expand without end are refused', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let index = 1; index < 10; index += 1) {
      lines.push(`a${index}: &a${index} [${Array.from({ length: 10 }, () => `*a${index - 1}`).join(', ')}]`);
    }
    const [problem] = problemsAs('yaml', lines.join('\n'));
    assert.match(problem ?? '', /not YAML: aliases expand to too many values$/);
  });
});

describe('JSON', () => {
  const cases: [title: string, text: string, problem: string][] = [
    ['a comma behind the last element', '{"group": [],}', '1:14+1 not JSON: a comma must not follow the last element'],
    ['a comment', '{\n  // x\n}', '2:3+1 not JSON: comments are not allowed'],
    ['a key that is there twice', '{"kernel": "a",\n "kernel": "b"}', '2:2+8 not JSON: duplicate key "kernel"'],
    ['single quotes', "{'kernel': 1}", '1:2+1 not JSON: strings are in double quotes'],
    ['a key without quotes', '{kernel: 1}', '1:2+1 not JSON: "k" is not expected here'],
    [
      'a line break in a string',
      '{"kernel": "a\nb"}',
      '1:14+1 not JSON: this string has no closing quote; a line break in it is written \\n',
    ],
    ['an end that is missing', '{"kernel": [', '1:13+1 not JSON: the file ends too early'],
    ['more than one value', '{} {}', '1:4+1 not JSON: "{" is not expected here'],
    ['no object', '[]', '1:1+2 not JSON: the document must be an object'],
    ['a number with a leading zero', '{"a": 01}', '1:8+1 not JSON: "1" is not expected here'],
    ['NaN', '{"a": NaN}', '1:7+1 not JSON: "N" is not expected here'],
  ];
  for (const [title, text, problem] of cases) {
    test(`${title} is refused`, () => assert.deepEqual(problemsAs('json', text), [problem]));
  }

  test('keys that every JavaScript object has are ordinary keys', () => {
    assert.deepEqual(problemsAs('json', '{"__proto__": {"kernel": 1}, "toString": 1}'), [
      '1:2+11 __proto__: unknown key',
      '1:30+10 toString: unknown key',
    ]);
  });
});

test('no text of a mebibyte makes a parser hang or end the process', () => {
  const pieces = [
    '[',
    '{',
    '{"a":',
    '[{a: ',
    '- ',
    '? ',
    ' ',
    '\n',
    '\t',
    '#',
    '"',
    "'",
    '"" ',
    ':',
    'a: ',
    'a:\n ',
    '&a ',
    '*a ',
    '! ',
  ];
  pieces.push(
    '\\',
    ',',
    '---\n',
    '%a\n',
    '|\n',
    '>\n',
    '[[a]]\n',
    'a.',
    'a = 1\n',
    '"""',
    "'''",
    '- 1\n',
    '[],',
    '{},',
    '1 ',
    '\0',
    '\uFEFF',
    '-',
    '=',
  );
  const lists = { toml: 'service = [', yaml: 'service: [', json: '{"service": [' } as const;
  const texts = (['toml', 'yaml', 'json'] as const).flatMap((language) =>
    ['', lists[language]].flatMap((before) => pieces.map((piece) => ({ language, before, piece }))),
  );
  const count = rounds(texts.length);
  const [drawn] = fc.sample(fc.shuffledSubarray(texts, { minLength: count, maxLength: count }), 1);
  for (const { language, before, piece } of drawn!) {
    try {
      parseAs(language, before + piece.repeat(2 ** 20 / piece.length));
    } catch (error) {
      detailsOf(error);
    }
  }
});
