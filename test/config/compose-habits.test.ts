// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of configs
/** Values as users of docker compose write them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { writeConfig } from '../../src/config/print.ts';
import { detailsOf, HOST } from '../helpers/config/harness.ts';
import { makeTempDir } from '../helpers/temp.ts';

const parse = (...lines: string[]) =>
  parseConfig(['[[service]]', 'name = "web"', ...lines].join('\n'), '/srv/shop/monocore.toml', HOST).services[0]!;

test('a command of several words is split as a shell splits it, and an array is taken as it is', () => {
  for (const [written, ...words] of [
    ['"redis-server --port 1"', 'redis-server', '--port', '1'],
    [`"""sh -c 'echo "a b"; exit 3'"""`, 'sh', '-c', 'echo "a b"; exit 3'],
    [`'''a"b \\" \\x"c\\ d ""'''`, 'ab " \\xc d', ''],
    ['["/opt/my app/run", 8080]', '/opt/my app/run', '8080'],
    ['"\\"/opt/my app/run\\" x"', '/opt/my app/run', 'x'],
  ] as const) {
    const { command, args } = parse(`command = ${written}`, 'args = ["last"]');
    assert.deepEqual([command, ...args], [...words, 'last'], written);
  }
  for (const command of [`'sh -c "x'`, '"a \'b"', `'a \\'`, '[]', '[" "]', `"''"`]) {
    assert.throws(() => parse(`command = ${command}`), { code: 'ConfigInvalid' }, command);
  }
});

test('a program with a blank in its name is the same when the config is shown and read again', () => {
  const text = '[[service]]\nname = "web"\ncommand = ["/opt/my app/run", "a b"]\n';
  const config = parseConfig(text, '/srv/shop/monocore.toml', HOST);
  assert.deepEqual(parseConfig(writeConfig(config, 'toml'), '/srv/shop/monocore.toml', HOST), config);
});

test('whole numbers stand for arguments and ports', () => {
  const { args, ports } = parse('command = "sleep"', 'args = [100, "x"]', 'port = 8080', 'ports = [81, "82:83"]');
  assert.deepEqual(args, ['100', 'x']);
  assert.deepEqual(
    ports.map(({ host, guest }) => [host, guest]),
    [
      [8080, 8080],
      [81, 81],
      [82, 83],
    ],
  );
  assert.throws(() => parse('command = "sleep"', 'args = [1.5]'), { code: 'ConfigInvalid' });
});

test('volumes that begin with a dot are relative to the config', () => {
  const volumes = '["./site:/a", "../up:/b:ro", ".:/c"]';
  const { volumes: found } = parse('command = "x"', `volumes = ${volumes}`);
  assert.deepEqual(found, [
    { host: '/srv/shop/site', guest: '/a', read_only: false },
    { host: '/srv/up', guest: '/b', read_only: true },
    { host: '/srv/shop', guest: '/c', read_only: false },
  ]);
  const group = '[[group]]\nname = "g"\nvolume = [{ name = "data", path = "./data" }]\n';
  const service = '[[service]]\nname = "web"\ncommand = "x"\ngroup = "g"\ngroup_volumes = ["data:/d"]\n';
  const shared = parseConfig(group + service, '/srv/shop/monocore.toml', HOST).services[0]!;
  assert.deepEqual(shared.volumes, [{ host: '/srv/shop/data', guest: '/d', read_only: false }]);
});

test('the name of an image may refer to variables of the environment and of .env', async (t) => {
  const dir = await makeTempDir(t);
  const file = join(dir, 'monocore.toml');
  const imageOf = async (image: string) => {
    await writeFile(file, `[[service]]\nname = "web"\nimage = "${image}"\n`);
    return (await loadConfig(file)).services[0]!.image;
  };
  assert.equal(await imageOf('app:${PROJECT_TEST_TAG:-1}'), 'app:1');
  await writeFile(join(dir, '.env'), 'PROJECT_TEST_TAG=2.5\n');
  assert.equal(await imageOf('app:${PROJECT_TEST_TAG:-1}'), 'app:2.5');
  const problem = await imageOf('app:${PROJECT_TEST_NONE}').catch((error: unknown) => detailsOf(error)[0]?.message);
  assert.match(String(problem), /PROJECT_TEST_NONE, which is not set/);
});
