/** The commands on configs as people run them: each a process of its own, no daemon. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const CONFIG = `[[service]]
name = "web"
command = "x"
env_file = "web.env"
envs = { TOKEN = "abc", LEVEL = "info" }
[[service]]
name = "debug"
command = "x"
profiles = ["dev"]
`;

async function prepare(t: test.TestContext) {
  const cwd = await makeTempDir(t);
  const run = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await runCli(args, { cwd, env: { MONOCORE_HOME: join(cwd, 'home') } });
    return { exitCode, stdout: stdout.toString(), stderr: stderr.replaceAll(`${cwd}/`, '') };
  };
  const write = (name: string, text: string) => writeFileSync(join(cwd, name), text);
  return { cwd, run, write };
}

test('check counts services and groups, or shows every problem, and starts nothing', async (t) => {
  const { cwd, run, write } = await prepare(t);
  write('monocore.toml', CONFIG);
  write('web.env', 'FROM_FILE=1\n');
  assert.deepEqual(await run('config', 'check'), {
    exitCode: 0,
    stdout: 'monocore.toml is valid: 1 service, 0 groups\n',
    stderr: '',
  });
  assert.match((await run('config', 'check', '--profile', 'dev')).stdout, /2 services/);

  write('broken.yaml', 'service:\n  - name: web\n    ports: [true]\n    comand: x\n');
  const { exitCode, stdout, stderr } = await run('config', 'check', '-f', 'broken.yaml');
  assert.deepEqual([exitCode, stdout], [2, '']);
  assert.equal(
    stderr.replace(/ \(expected .*\)$/gm, ''),
    `monocore: broken.yaml has 3 problems
  broken.yaml:2:5: service[0].command: is missing
    - name: web
      ^^^^^^^^^
  broken.yaml:3:13: service[0].ports[0]: must be a string, not a boolean
      ports: [true]
              ^^^^
  broken.yaml:4:5: service[0].comand: unknown key; did you mean "command"?
      comand: x
      ^^^^^^
`,
  );
  assert.equal(existsSync(join(cwd, 'home')), false);
});

test('several configs in a folder are an error', async (t) => {
  const { run, write } = await prepare(t);
  write('monocore.toml', '');
  write('monocore.json', '{}');
  const { exitCode, stderr } = await run('config', 'check');
  assert.equal(exitCode, 2);
  assert.match(stderr, /has several configs: monocore\.toml and monocore\.json; name one with the -f option/);
});

test('show prints the whole config, with secrets masked until they are asked for', async (t) => {
  const { run, write } = await prepare(t);
  write('monocore.toml', CONFIG);
  write('web.env', 'FROM_FILE=hidden\n');
  const toml = await run('config', 'show');
  assert.equal(toml.exitCode, 0, toml.stderr);
  assert.match(toml.stdout, /^TOKEN = "\*+"$/m);
  assert.match(toml.stdout, /^LEVEL = "info"$/m);
  assert.match(toml.stdout, /^ram = "128MiB"$/m);
  assert.doesNotMatch(toml.stdout, /hidden|abc|debug/);
  const json = await run('config', 'show', '--format', 'json', '--reveal', '--profile', 'dev');
  const { service } = JSON.parse(json.stdout);
  assert.deepEqual(service[0].envs, { FROM_FILE: 'hidden', TOKEN: 'abc', LEVEL: 'info' });
  assert.equal(service[1].name, 'debug');
  assert.match((await run('config', 'show', '--format', 'yaml')).stdout, /^ {2}- name: web$/m);
  const unknown = await run('config', 'show', '--profile', 'dve');
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, /no service of the config has the profile "dve"; did you mean "dev"\?/);
});

test('schema prints a JSON schema', async (t) => {
  const { run } = await prepare(t);
  const { stdout } = await run('config', 'schema');
  assert.equal(JSON.parse(stdout).properties.service.items.properties.ram.default, '128MiB');
});
