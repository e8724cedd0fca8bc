import assert from 'node:assert/strict';
import test from 'node:test';
import { createSelection } from '../../src/cli/options.ts';
import { selectFromConfig } from '../../src/cli/selection.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../src/protocol/images.ts';
import { DEFAULT_HOME_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import type { Config, Service } from '../../src/protocol/service.ts';
import { afterStart, scriptService } from '../helpers/fakes/services.ts';

function makeEntry(name: string, group: string | null, dependencies: readonly string[] = []): Service {
  return scriptService(name, 'true', { group, depends_on: afterStart(...dependencies) });
}

const config: Config = {
  project: null,
  services: [
    makeEntry('proxy', 'front', ['web']),
    makeEntry('web', 'front', ['db']),
    makeEntry('db', 'back'),
    makeEntry('cron', null),
  ],
  unselected: [],
  groups: [
    { name: 'front', address: null, local_only: false },
    { name: 'back', address: null, local_only: true },
  ],
  kernel: null,
  logs: DEFAULT_HOME_LOG_SETTINGS,
  images: DEFAULT_IMAGE_SETTINGS,
};

test('without names and group all services are meant', () => {
  assert.deepEqual(selectFromConfig(config, createSelection([], undefined)), ['proxy', 'web', 'db', 'cron']);
});

test('what a service depends on is meant with it, over any number of steps', () => {
  assert.deepEqual(selectFromConfig(config, createSelection(['proxy'], undefined)), ['proxy', 'web', 'db']);
  assert.deepEqual(selectFromConfig(config, createSelection([], 'back')), ['db']);
  assert.deepEqual(selectFromConfig(config, createSelection([], 'front')), ['proxy', 'web', 'db']);
});

test('a circle of dependencies ends', () => {
  const services = [makeEntry('a', null, ['b']), makeEntry('b', null, ['a'])];
  assert.deepEqual(selectFromConfig({ ...config, services }, createSelection(['a'], undefined)), ['a', 'b']);
});

test('every unknown name is reported, with a suggestion', () => {
  assert.throws(() => selectFromConfig(config, createSelection(['wbe', 'zzz'], undefined)), {
    code: 'ServiceUnknown',
    message: 'the config has no service "wbe"; did you mean "web"?\nthe config has no service "zzz"',
  });
  assert.throws(() => selectFromConfig(config, createSelection([], 'frnt')), {
    code: 'ServiceUnknown',
    message: 'the config has no service in the group "frnt"; did you mean "front"?',
  });
});

test('the name of a service with replicas stands for all of them', () => {
  const replicas = ['web-1', 'web-2'].map((name) => ({ ...makeEntry(name, null, ['db']), replica_of: 'web' }));
  const scaled = { ...config, services: [...replicas, makeEntry('web-3', null), makeEntry('db', null)] };
  const selected = (...names: string[]) => selectFromConfig(scaled, createSelection(names, undefined));
  assert.deepEqual(selected('web'), ['web-1', 'web-2', 'db']);
  assert.deepEqual(selected('web-2', 'web-3'), ['web-2', 'web-3', 'db']);
  assert.throws(() => selected('wbe'), { message: 'the config has no service "wbe"; did you mean "web"?' });
});
