import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse, problemsOf, shortProblems } from './harness.ts';

/** Services by name, each with further keys below its first three lines; without any it has an empty fourth line. */
function services(...tables: [name: string, keys: string][]): string {
  return tables.map(([name, keys]) => `[[service]]\nname = "${name}"\ncommand = "x"\n${keys}\n`).join('');
}

describe('names', () => {
  test('a name may be given to one service only', () => {
    assert.deepEqual(shortProblems(services(['a', ''], ['b', ''], ['a', ''], ['a', ''])), [
      '10:8 service[2].name: "a" is the name of service[0] already',
      '14:8 service[3].name: "a" is the name of service[0] already',
    ]);
  });

  test('a name may be given to one group only', () => {
    assert.deepEqual(shortProblems('[[group]]\nname = "g"\n[[group]]\nname = "g"\n'), [
      '4:8 group[1].name: "g" is the name of group[0] already',
    ]);
  });

  test('a service and a group may have the same name', () => {
    const config = parse(`${services(['a', 'group = "a"'])}[[group]]\nname = "a"\n`);
    assert.equal(config.services[0]?.group, 'a');
  });
});

describe('references', () => {
  test('a group must be declared, anywhere in the file', () => {
    assert.deepEqual(shortProblems(`${services(['a', 'group = "fornt"'])}[[group]]\nname = "front"\n`), [
      '4:9 service[0].group: there is no group "fornt"; did you mean "front"?',
    ]);
    assert.deepEqual(shortProblems(services(['a', 'group = "front"'])), [
      '4:9 service[0].group: there is no group "front"',
    ]);
  });

  test('a dependency must be declared, anywhere in the file', () => {
    assert.deepEqual(shortProblems(services(['a', 'depends_on = ["db", "webb"]'], ['web', ''])), [
      '4:15 service[0].depends_on[0]: there is no service "db"',
      '4:21 service[0].depends_on[1]: there is no service "webb"; did you mean "web"?',
    ]);
    assert.deepEqual(parse(services(['a', 'depends_on = ["web"]'], ['web', ''])).services[0]?.depends_on, ['web']);
  });

  test('a reference to a name that is faulty itself is no second problem', () => {
    const text = `${services(['a', 'depends_on = ["B"]'], ['B', 'group = "G"'])}[[group]]\nname = "G"\n`;
    assert.deepEqual(shortProblems(text), [
      '6:8 service[1].name: is not a valid name',
      '10:8 group[0].name: is not a valid name',
    ]);
  });

  test('a service cannot depend on itself', () => {
    assert.deepEqual(shortProblems(services(['a', 'depends_on = ["a"]'])), [
      '4:15 service[0].depends_on[0]: "a" cannot depend on itself',
    ]);
  });
});

describe('cycles', () => {
  test('are named as a path and reported where they close', () => {
    assert.deepEqual(shortProblems(services(['a', 'depends_on = ["b"]'], ['b', 'depends_on = ["a"]'])), [
      '8:15 service[1].depends_on[0]: a -> b -> a is a cycle: none of them could start first',
    ]);
  });

  test('leave out the services that only lead to them', () => {
    const text = services(
      ['start', 'depends_on = ["x"]'],
      ['x', 'depends_on = ["y"]'],
      ['y', 'depends_on = ["z"]'],
      ['z', 'depends_on = ["start2", "x"]'],
      ['start2', ''],
    );
    assert.deepEqual(shortProblems(text), [
      '16:25 service[3].depends_on[1]: x -> y -> z -> x is a cycle: none of them could start first',
    ]);
  });
});

describe('ports', () => {
  test('a host port can be forwarded once on 127.0.0.1', () => {
    assert.deepEqual(shortProblems(services(['a', 'port = "80"'], ['b', 'ports = ["81", "80:8080"]'])), [
      '8:16 service[1].ports[1]: host port 80 is taken by service[0].port already',
    ]);
  });

  test('a host port can be forwarded once by one service', () => {
    assert.deepEqual(shortProblems(services(['a', 'ports = ["80:1", "80:2"]\nport = "80"'])), [
      '4:10 service[0].ports[0]: host port 80 is taken by service[0].port already',
      '4:18 service[0].ports[1]: host port 80 is taken by service[0].port already',
    ]);
  });

  test('each group has an address, so that the same port is free in another one', () => {
    const groups = '[[group]]\nname = "g"\n[[group]]\nname = "h"\n';
    const inGroup = (group: string) => `port = "80"\ngroup = "${group}"`;
    const config = parse(groups + services(['a', inGroup('g')], ['b', inGroup('h')], ['c', 'port = "80"']));
    assert.equal(config.services.length, 3);
    assert.deepEqual(shortProblems(groups + services(['a', inGroup('g')], ['b', inGroup('g')])), [
      '13:8 service[1].port: host port 80 is taken by service[0].port already',
    ]);
  });
});

describe('isolation "none"', () => {
  test('takes no root and no ports, and the problem says why', () => {
    const text = services(['a', 'isolation = "none"\nrootfs = "r"\nport = "80"\nports = ["81"]']);
    assert.deepEqual(shortProblems(text), [
      '5:1 service[0].rootfs: a plain process (isolation "none") runs on the root of the host',
      '6:1 service[0].port: a plain process (isolation "none") binds its own ports; nothing is forwarded to it',
      '7:1 service[0].ports: a plain process (isolation "none") binds its own ports; nothing is forwarded to it',
    ]);
    assert.equal(problemsOf(text)[1]?.expected, 'isolation "vm", or no port');
  });

  test('leaves the other keys as they are', () => {
    const [service] = parse(services(['a', 'isolation = "none"\nworkdir = "/tmp"\nenvs = ["A=1"]'])).services;
    assert.deepEqual([service?.isolation, service?.workdir, service?.envs], ['none', '/tmp', { A: '1' }]);
  });
});
