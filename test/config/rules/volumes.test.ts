import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Volume } from '../../../src/protocol/service.ts';
import { parse, parseService, problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

const volume = (host: string, guest = host, read_only = false): Volume => ({ host, guest, read_only });

/** Two groups, the first with a volume; services by name with their further keys, which start four lines below. */
function grouped(...tables: [name: string, group: string | null, keys: string][]): string {
  const groups = '[[group]]\nname = "g"\n[[group.volume]]\nname = "data"\npath = "/srv/data"\n[[group]]\nname = "h"\n';
  return tables.reduce((text, [name, group, keys]) => {
    const member = group === null ? '' : `group = "${group}"`;
    return `${text}[[service]]\nname = "${name}"\ncommand = "x"\n${member}\n${keys}\n`;
  }, groups);
}

describe('volumes', () => {
  test('name a path of the host and one of the guest, or one for both', () => {
    assert.deepEqual(
      parseService('volumes = ["/a:/b", "/c:/d:ro", "/e", "/f:ro", "/g:/h:rw", "/i/./j//:/k/../l/"]').volumes,
      [
        volume('/a', '/b'),
        volume('/c', '/d', true),
        volume('/e'),
        volume('/f', '/f', true),
        volume('/g', '/h'),
        volume('/i/j', '/l'),
      ],
    );
  });

  const faulty: [text: string, message: string][] = [
    ['', 'must not be empty'],
    ['a:/b', 'the path on the host must be absolute, or begin with "./"'],
    ['./a', 'has no path in the guest'],
    ['/a:b', 'the path in the guest must be absolute'],
    ['/a/../..:/b', 'the path on the host leads above the root'],
    ['/a:/../b', 'the path in the guest leads above the root'],
    ['/a:/b:/c', 'is not a volume'],
    ['/a:/b:rx', 'is not a volume'],
    [':/b', 'is not a volume'],
    ['/a:/', 'the path in the guest must not be its root; choose another folder'],
    ['/', 'the path in the guest must not be its root; choose another folder'],
    ['/a:/run', 'the path in the guest must not be /run, which is in memory; choose another folder'],
    ['/a:/proc/x', 'the path in the guest must not be in /proc, which the guest mounts itself; choose another folder'],
    [
      '/a:/run/secrets',
      'the path in the guest must not be in /run/secrets, which the guest mounts itself; choose another folder',
    ],
    [`/${'a'.repeat(4095)}`, 'the path on the host is longer than 4095 bytes'],
  ];
  for (const [text, message] of faulty) {
    test(`"${text.slice(0, 20)}" is a problem`, () => {
      assert.deepEqual(shortProblems(serviceText(`volumes = ["${text}"]`)), [`4:12 service[0].volumes[0]: ${message}`]);
    });
  }

  test('must not overlap in the guest', () => {
    assert.deepEqual(shortProblems(serviceText('volumes = ["/a:/x", "/b:/x/y", "/c:/xy", "/d:/x"]')), [
      '4:21 service[0].volumes[1]: "/x/y" of the guest is in service[0].volumes[0]',
      '4:42 service[0].volumes[3]: "/x" of the guest is already service[0].volumes[0]',
    ]);
  });

  test('name a path of the host once', () => {
    assert.deepEqual(shortProblems(serviceText('volumes = ["/a:/x", "/a/:/y"]')), [
      '4:21 service[0].volumes[1]: "/a" is already volumes[0]',
    ]);
  });
});

describe('volumes of a group', () => {
  test('are taken by name, as a whole or in part', () => {
    const keys = `group_volumes = [
      "data", "data:/a", "data:/b:ro",
      { name = "data", mount = "logs:/c" }, { name = "data", mount = "/srv/data/x:/d:ro" }, { name = "data", mount = ".:/e" },
    ]`;
    assert.deepEqual(parse(grouped(['a', 'g', keys])).services[0]?.volumes, [
      volume('/srv/data'),
      volume('/srv/data', '/a'),
      volume('/srv/data', '/b', true),
      volume('/srv/data/logs', '/c'),
      volume('/srv/data/x', '/d', true),
      volume('/srv/data', '/e'),
    ]);
  });

  test("give way to a service's own at the same place", () => {
    const keys = 'group_volumes = ["data:/x", "data:/y"]\nvolumes = ["/other:/x"]';
    assert.deepEqual(parse(grouped(['a', 'g', keys])).services[0]?.volumes, [
      volume('/srv/data', '/y'),
      volume('/other', '/x'),
    ]);
  });

  test('belong to the services of the group', () => {
    const text = grouped(
      ['a', 'g', 'group_volumes = ["date:/x", "none:/y"]'],
      ['b', 'h', 'group_volumes = [{ name = "data" }]'],
      ['c', null, 'group_volumes = ["data"]'],
    );
    assert.deepEqual(shortProblems(text), [
      '12:18 service[0].group_volumes[0]: the group "g" has no [[group.volume]] "date"; did you mean "data"?',
      '12:29 service[0].group_volumes[1]: the group "g" has no [[group.volume]] "none"',
      '17:27 service[1].group_volumes[0].name: [[group.volume]] "data" belongs to the group "g"; a service takes from its own group only',
      '22:18 service[2].group_volumes[0]: the service has no group to take volumes from',
    ]);
  });

  test('cannot be left', () => {
    const keys = `group_volumes = [
{ name = "data", mount = "../x:/a" },
{ name = "data", mount = "/srv/database:/b" },
"data:/proc"]`;
    assert.deepEqual(shortProblems(grouped(['a', 'g', keys])), [
      '13:26 service[0].group_volumes[0].mount: leads out of the volume /srv/data',
      '14:26 service[0].group_volumes[1].mount: leads out of the volume /srv/data',
      '15:1 service[0].group_volumes[2]: the path in the guest must not be in /proc, which the guest mounts itself; choose another folder',
    ]);
    assert.deepEqual(shortProblems(grouped(['a', 'g', 'group_volumes = ["data:x"]'])), [
      '12:18 service[0].group_volumes[0]: the path in the guest must be absolute',
    ]);
  });

  test('have a name of their own in the group', () => {
    const text = '[[group]]\nname = "g"\nvolume = [{ name = "a", path = "/a" }, { name = "a", path = "b" }]\n';
    assert.deepEqual(shortProblems(text), [
      '3:49 group[0].volume[1].name: "a" is already the name of group[0].volume[0]',
      '3:61 group[0].volume[1].path: must be absolute, or begin with "./"',
    ]);
  });
});

describe('paths of the host', () => {
  test('have a string as name: a table or an array in its place is a problem', () => {
    for (const [name, type] of [
      ['{ a = 1 }', 'a table'],
      ['[{ a = 1 }]', 'an array'],
    ]) {
      const text = `[[group]]\nname = "g"\n[[group.volume]]\nname = ${name}\npath = "/a"\n[[group.env]]\nname = ${name}\nenvs = { A = "1" }\n`;
      assert.deepEqual(
        problemsOf(text).map(({ message }) => message),
        Array(2).fill(`must be a string, not ${type}`),
      );
    }
  });

  test('do not overlap across groups, by segments', () => {
    const text = grouped(
      ['a', 'g', 'volumes = ["/srv/data/x:/x", "/srv/database:/y"]'],
      ['b', 'h', 'volumes = ["/srv/data/y:/y", "/srv:/z"]'],
      ['c', null, 'volumes = ["/c:/c"]'],
      ['d', null, 'volumes = ["/c/d:/d"]'],
    );
    assert.deepEqual(shortProblems(text), [
      `5:8 group[0].volume[0].path: "/srv/data" of the host is in service[1].volumes[1]; only services of one group may share files`,
      `12:12 service[0].volumes[0]: "/srv/data/x" of the host is in service[1].volumes[1]; only services of one group may share files`,
      `12:30 service[0].volumes[1]: "/srv/database" of the host is in service[1].volumes[1]; only services of one group may share files`,
      `17:12 service[1].volumes[0]: "/srv/data/y" of the host is in group[0].volume[0].path; only services of one group may share files`,
      `27:12 service[3].volumes[0]: "/c/d" of the host is in service[2].volumes[0]; only services of one group may share files`,
    ]);
    assert.equal(problemsOf(text)[0]?.expected, 'paths that do not overlap, or one group for both');
  });

  test('may be shared in a group', () => {
    const text = grouped(['a', 'g', 'volumes = ["/v:/v"]'], ['b', 'g', 'volumes = ["/v:/v", "/v/w:/w"]']);
    assert.equal(parse(text).services.length, 2);
  });

  test('are compared at once, however many they are', () => {
    const volumes = Array.from({ length: 20_000 }, (_, index) => `"/h/${index}:/g/${index}"`);
    assert.equal(parseService(`volumes = [${volumes.join(', ')}]`).volumes.length, 20_000);
  });
});
