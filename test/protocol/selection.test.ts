import assert from 'node:assert/strict';
import test from 'node:test';
import { type Selectable, select } from '../../src/protocol/selection.ts';

const SERVICES: readonly Selectable[] = [
  { name: 'web-1', group: 'shop', replica_of: 'web' },
  { name: 'web-2', group: 'shop', replica_of: 'web' },
  { name: 'web-3', group: null, replica_of: null },
  { name: 'db', group: 'shop', replica_of: null },
  { name: 'db-1', group: null, replica_of: 'db' },
  { name: 'old', group: null },
];

const named = (...names: string[]) => select(SERVICES, { names, group: null }, 'the daemon').map(({ name }) => name);

test('a name stands for its service and for its replicas', () => {
  assert.deepEqual(named('web'), ['web-1', 'web-2']);
  assert.deepEqual(named('web-2'), ['web-2']);
  assert.deepEqual(named('db'), ['db', 'db-1']);
  assert.deepEqual(named('old'), ['old']);
});

test('services come in the order of their names, each once', () => {
  assert.deepEqual(named('db', 'web-2', 'web', 'db'), ['db', 'db-1', 'web-2', 'web-1']);
});

test('without names those of the group are meant, else all', () => {
  assert.equal(select(SERVICES, { names: [], group: null }, 'the daemon').length, SERVICES.length);
  assert.equal(select(SERVICES, { names: [], group: 'shop' }, 'the daemon').length, 3);
});

test('every name that stands for nothing is told', () => {
  assert.throws(() => named('web', 'we', 'db-2'), {
    code: 'ServiceUnknown',
    message:
      'the daemon has no service "we"; did you mean "web"?\nthe daemon has no service "db-2"; did you mean "db-1"?',
    details: { hint: 'to see them: monocore status' },
  });
  assert.throws(() => select(SERVICES, { names: [], group: 'shp' }, 'the config'), {
    code: 'ServiceUnknown',
    message: 'the config has no service in the group "shp"; did you mean "shop"?',
  });
});

test('names and groups of a command on a project are those of the project', () => {
  const [shop, demo] = ['shop', 'demo'].map((name) => ({ name, folder: `/srv/${name}` }));
  const services = [
    { name: 'web', group: 'front', project: shop! },
    { name: 'db', group: 'back', project: demo! },
    { name: 'old', group: null },
  ];
  const ofShop = (names: string[], group: string | null = null) =>
    select(services, { names, group, project: shop! }, 'the daemon').map(({ name }) => name);
  assert.deepEqual([ofShop([]), ofShop(['web']), ofShop([], 'front')], [['web'], ['web'], ['web']]);
  for (const foreign of ['db', 'old']) {
    const message = `project shop of /srv/shop has no service "${foreign}"`;
    assert.throws(() => ofShop([foreign]), { code: 'ServiceUnknown', message });
  }
  assert.throws(() => ofShop([], 'back'), { message: 'project shop of /srv/shop has no service in the group "back"' });
});
