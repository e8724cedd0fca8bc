import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTomlPositions } from '../../../src/config/languages/toml.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { locate, valueProblem } from '../../../src/config/problems.ts';
import { problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

test('an element of a multi-line array is found on its own line', () => {
  const text = serviceText('args = [', '  "one", # a comment, with ] in it', "  'two', true,", '\t[4],', ']');
  assert.deepEqual(shortProblems(text), [
    '6:10 service[0].args[2]: must be a string, not a boolean',
    '7:2 service[0].args[3]: must be a string, not an array',
  ]);
  assert.deepEqual(
    problemsOf(text).map(({ source }) => source),
    ["  'two', true,", '\t[4],'],
  );
});

test('dotted keys are found at the part in question', () => {
  assert.deepEqual(shortProblems(serviceText('envs.A = "1"', 'envs . B = 2', 'limits.cpu.max = 3')), [
    '5:12 service[0].envs.B: must be a string, not a number',
    '6:1 service[0].limits: unknown key; monocore help config lists the keys',
  ]);
  assert.deepEqual(shortProblems('service.name = "a"\n'), ['1:1 service: must be an array of tables, not a table']);
});

test('inline tables are found within their line', () => {
  assert.deepEqual(shortProblems('service = [{ name = "A", command = "x" }, { name = "b", comand = "x" }]\n'), [
    '1:21 service[0].name: is not a valid name',
    '1:43 service[1].command: is missing',
    '1:57 service[1].comand: unknown key; did you mean "command"?',
  ]);
});

test('tables below a table of an array are found by their own header', () => {
  const text =
    '[[service]]\nname = "a"\ncommand = "x"\n[[service]]\nname = "b"\ncommand = "x"\n  [service.envs]\n  A.b = 1\n';
  assert.deepEqual(shortProblems(text), ['8:3 service[1].envs.A: must be a string, not a table']);
});

test('quoted keys are found, however they are quoted', () => {
  assert.deepEqual(shortProblems(`[["service"]]\n'name' = 1\n"comm\\u0061nd" = 2\n`), [
    '2:10 service[0].name: must be a string, not a number',
    '3:18 service[0].command: must be a string or an array, not a number',
  ]);
});

test('a value that spans lines is reported at its start', () => {
  assert.deepEqual(shortProblems(serviceText('workdir = """', 'a', 'b"""')), [
    '4:11 service[0].workdir: must not contain control characters',
  ]);
});

test('Windows line ends and a byte order mark do not shift positions', () => {
  const text = `\uFEFFkernel = 1\r\n${serviceText('cpus = 0').replaceAll('\n', '\r\n')}`;
  assert.deepEqual(shortProblems(text), [
    '1:10 kernel: must be a string, not a number',
    '5:8 service[0].cpus: must be at least 1',
  ]);
  assert.equal(problemsOf(text)[1]?.source, 'cpus = 0');
});

test('a text of several lines has the same line ends in a file from Windows', () => {
  for (const quotes of ['"""', "'''"]) {
    const text = `[[service]]\nname = "a"\ncommand = "/bin/sh"\nargs = ["-c", ${quotes}\nset -e\necho a\n${quotes}]\n`;
    const { services } = parseConfig(text.replaceAll('\n', '\r\n'), 'monocore.toml');
    assert.deepEqual(services[0]?.args, ['-c', 'set -e\necho a\n']);
  }
});

test('all problems are reported at once, in order of position, whichever rule found them', () => {
  const text = `colour = "blue"
[[service]]
name = "a"
command = ""
depends_on = ["b", "nobody"]
port = "80"
[[group]]
local_only = 1
[[service]]
name = "b"
command = "x"
depends_on = ["a"]
ports = [
  "80:1",
  "x",
]
ram = 1
`;
  assert.deepEqual(shortProblems(text), [
    '1:1 colour: unknown key',
    '4:11 service[0].command: must not be empty',
    '5:20 service[0].depends_on[1]: there is no service "nobody"',
    '7:1 group[0].name: is missing',
    '8:14 group[0].local_only: must be a boolean, not a number',
    '12:15 service[1].depends_on[0]: a -> b -> a is a cycle: none of them can start first',
    '15:3 service[1].ports[1]: is not a port mapping',
    '17:7 service[1].ram: is too little for a kernel to boot',
  ]);
});

test('a path that the text does not have is reported at the start of the document', () => {
  const [problem] = locate('x.toml', 'a = 1\n', findTomlPositions('a = 1\n'), [valueProblem(['b', 0, 'c'], 'odd')]);
  assert.deepEqual([problem?.line, problem?.column, problem?.path, problem?.source], [1, 1, 'b[0].c', 'a = 1']);
});

test('deeply dotted keys cost neither time nor memory', () => {
  const text = `${'a.'.repeat(50_000)}a = 1\n`;
  assert.deepEqual(shortProblems(text), ['1:1 a: unknown key']);
});

test('more problems than a call can have arguments are all reported', () => {
  const count = 150_000;
  const problems = problemsOf(serviceText(`args = [${'{},'.repeat(count)}]`));
  assert.equal(problems.length, count);
  assert.deepEqual([problems.at(-1)?.line, problems.at(-1)?.column], [4, 9 + 3 * (count - 1)]);
});
