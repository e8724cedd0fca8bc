import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import type { Choice } from '../../src/config/resolve.ts';
import { HOST, shortProblems } from '../helpers/config/harness.ts';

const TEXT = `
[[service]]
name = "web"
command = "x"
depends_on = ["db"]
[[service]]
name = "db"
command = "x"
[[service]]
name = "debug"
command = "x"
profiles = ["dev", "test"]
depends_on = ["seed"]
[[service]]
name = "seed"
command = "x"
profiles = ["seeding"]
[[service]]
name = "load"
command = "x"
profiles = ["test"]
replicas = 2
`;

const namesOf = (choice: Choice) =>
  parseConfig(TEXT, '/etc/demo/monocore.toml', HOST, choice).services.map(({ name }) => name);

test('services without profiles are always chosen, others by one of their profiles', () => {
  assert.deepEqual(namesOf({}), ['web', 'db']);
  assert.deepEqual(namesOf({ profiles: ['seeding'] }), ['web', 'db', 'seed']);
  assert.deepEqual(namesOf({ profiles: ['test', 'seeding'] }), ['web', 'db', 'debug', 'seed', 'load-1', 'load-2']);
});

test('a config lists the services that are not chosen', () => {
  const unselected = (choice: Choice) => parseConfig(TEXT, '/etc/demo/monocore.toml', HOST, choice).unselected;
  assert.deepEqual(unselected({}), ['debug', 'seed', 'load-1', 'load-2']);
  assert.deepEqual(unselected({ profiles: ['dev'] }), ['load-1', 'load-2']);
  assert.deepEqual(unselected({ profiles: ['test'] }), []);
});

test('dependencies of a chosen service are chosen with it', () => {
  assert.deepEqual(namesOf({ profiles: ['dev'] }), ['web', 'db', 'debug', 'seed']);
});

test('a named service is chosen, whatever its profiles', () => {
  assert.deepEqual(namesOf({ names: ['seed'] }), ['web', 'db', 'seed']);
  assert.deepEqual(namesOf({ names: ['load'] }), ['web', 'db', 'load-1', 'load-2']);
  assert.deepEqual(namesOf({ names: ['load-2'] }), ['web', 'db', 'load-1', 'load-2']);
});

test('a profile that no service has is an error', () => {
  assert.throws(() => namesOf({ profiles: ['tset'] }), {
    code: 'Usage',
    message: 'no service of the config has the profile "tset"; did you mean "test"?',
  });
});

test('a service that is not chosen is checked nevertheless', () => {
  assert.deepEqual(shortProblems(TEXT.replace('["seeding"]', '["seeding"]\ncpus = 0')), [
    '18:8 service[3].cpus: must be at least 1',
  ]);
});
