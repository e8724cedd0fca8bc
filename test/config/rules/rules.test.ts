import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse, problemsOf, shortProblems } from '../../helpers/config/harness.ts';

/** Services by name, each with further keys below its first three lines; without any it has an empty fourth line. */
function services(...tables: [name: string, keys: string][]): string {
  return tables.map(([name, keys]) => `[[service]]\nname = "${name}"\ncommand = "x"\n${keys}\n`).join('');
}

describe('names', () => {
  test('a name may be given to one service only', () => {
    assert.deepEqual(shortProblems(services(['a', ''], ['b', ''], ['a', ''], ['a', ''])), [
      '10:8 service[2].name: "a" is already the name of service[0]',
      '14:8 service[3].name: "a" is already the name of service[0]',
    ]);
  });

  test('a name may be given to one group only', () => {
    assert.deepEqual(shortProblems('[[group]]\nname = "g"\n[[group]]\nname = "g"\n'), [
      '4:8 group[1].name: "g" is already the name of group[0]',
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
    assert.deepEqual(parse(services(['a', 'depends_on = ["web"]'], ['web', ''])).services[0]?.depends_on, [
      { service: 'web', condition: 'started' },
    ]);
  });

  test('a dependency in a table is reported where the table names it', () => {
    assert.deepEqual(shortProblems(services(['a', 'depends_on = [{ service = "webb" }]'], ['web', ''])), [
      '4:27 service[0].depends_on[0].service: there is no service "webb"; did you mean "web"?',
    ]);
  });

  test('a reference to a faulty name is not a second problem', () => {
    const text = `${services(['a', 'depends_on = ["B"]'], ['B', 'group = "G"'])}[[group]]\nname = "G"\n`;
    assert.deepEqual(shortProblems(text), [
      '6:8 service[1].name: is not a valid name',
      '10:8 group[0].name: is not a valid name',
    ]);
  });

  test('a dependency is named once for each condition', () => {
    assert.deepEqual(shortProblems(services(['a', 'depends_on = ["b", { service = "b" }, "b"]'], ['b', ''])), [
      '4:32 service[0].depends_on[1].service: "b" is named twice for the same condition',
      '4:39 service[0].depends_on[2]: "b" is named twice for the same condition',
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
      '8:15 service[1].depends_on[0]: a -> b -> a is a cycle: none of them can start first',
    ]);
  });

  test('are reported once where a service is named for two conditions', () => {
    const both = 'depends_on = ["b", { service = "b", condition = "completed" }]';
    assert.deepEqual(
      shortProblems(services(['a', both], ['b', 'depends_on = ["a", { service = "a", condition = "completed" }]'])),
      ['8:15 service[1].depends_on[0]: a -> b -> a is a cycle: none of them can start first'],
    );
  });

  test('leave out services that only lead to the cycle', () => {
    const text = services(
      ['start', 'depends_on = ["x"]'],
      ['x', 'depends_on = ["y"]'],
      ['y', 'depends_on = ["z"]'],
      ['z', 'depends_on = ["start2", "x"]'],
      ['start2', ''],
    );
    assert.deepEqual(shortProblems(text), [
      '16:25 service[3].depends_on[1]: x -> y -> z -> x is a cycle: none of them can start first',
    ]);
  });
});

describe('conditions', () => {
  const dependent = (condition: string) => `depends_on = ["b", { service = "b", condition = "${condition}" }]`;

  test('a service without a healthcheck is never healthy', () => {
    const text = services(['a', dependent('healthy')], ['b', '']);
    assert.deepEqual(shortProblems(text), [
      '4:49 service[0].depends_on[1].condition: "b" has no healthcheck, so it is never healthy',
    ]);
    assert.equal(problemsOf(text)[0]?.expected, 'another condition, or a healthcheck of "b"');
    parse(services(['a', dependent('healthy')], ['b', 'healthcheck = { tcp = 80 }']));
  });

  test('a faulty healthcheck is not a second problem', () => {
    assert.deepEqual(shortProblems(services(['a', dependent('healthy')], ['b', 'healthcheck = 80'])), [
      '8:15 service[1].healthcheck: must be a table, not a number',
    ]);
  });

  for (const restart of ['always', 'unless-stopped']) {
    test(`a service with restart "${restart}" is never completed`, () => {
      assert.deepEqual(shortProblems(services(['a', dependent('completed')], ['b', `restart = "${restart}"`])), [
        '4:49 service[0].depends_on[1].condition: "b" is restarted whenever it ends, so it is never completed',
      ]);
    });
  }

  for (const restart of ['no', 'on-failure']) {
    test(`a service with restart "${restart}" can be completed`, () => {
      const config = parse(services(['a', dependent('completed')], ['b', `restart = "${restart}"`]));
      assert.deepEqual(config.services[0]?.depends_on, [
        { service: 'b', condition: 'started' },
        { service: 'b', condition: 'completed' },
      ]);
    });
  }

  test('a condition on an unknown service, or on the service itself, is a single problem', () => {
    const text = services(
      ['a', 'depends_on = [{ service = "a", condition = "healthy" }]'],
      ['b', dependent('healthy')],
    );
    assert.deepEqual(shortProblems(text.replaceAll('"b", {', '{').replace('{ service = "b"', '{ service = "zz"')), [
      '4:27 service[0].depends_on[0].service: "a" cannot depend on itself',
      '8:27 service[1].depends_on[0].service: there is no service "zz"',
    ]);
  });
});

describe('keys without effect', () => {
  const cases: [keys: string, problems: string[]][] = [
    ['on_unhealthy = "restart"', ['4:1 service[0].on_unhealthy: has no effect without a healthcheck']],
    ['max_restarts = 3', ['4:1 service[0].max_restarts: has no effect: the service is never restarted']],
    [
      'restart = "no"\nrestart_reset = 60',
      ['5:1 service[0].restart_reset: has no effect: the service is never restarted'],
    ],
    // What is wrong with the key itself, or with one that could give it a meaning, comes first.
    ['max_restarts = 0', ['4:16 service[0].max_restarts: must be at least 1']],
    ['max_restarts = 3\nrestart = "ever"', ['5:11 service[0].restart: is not a restart policy']],
    ['max_restarts = 3\non_unhealthy = "kill"', ['5:16 service[0].on_unhealthy: is not a valid action']],
    ['max_restarts = 3\nmax_memory = "x"', ['5:14 service[0].max_memory: is not a size']],
  ];
  for (const [keys, problems] of cases) {
    test(`${keys.replace('\n', ', ')} is reported as such`, () =>
      assert.deepEqual(shortProblems(services(['a', keys])), problems));
  }

  for (const reason of ['restart = "on-failure"', 'max_memory = "1GiB"', 'on_unhealthy = "restart"']) {
    test(`limits of restarts mean something with ${reason}`, () => {
      const keys = `max_restarts = 3\nrestart_reset = 30\nhealthcheck = { tcp = 1 }\n${reason}`;
      const [service] = parse(services(['a', keys])).services;
      assert.deepEqual([service?.restart.max_restarts, service?.restart.reset_ms], [3, 30_000]);
    });
  }
});

describe('ports', () => {
  test('a host port can be forwarded once on 127.0.0.1', () => {
    assert.deepEqual(shortProblems(services(['a', 'port = "80"'], ['b', 'ports = ["81", "80:8080"]'])), [
      '8:16 service[1].ports[1]: host port 80 is already taken by service[0].port',
    ]);
  });

  test('a host port can be forwarded once by one service', () => {
    assert.deepEqual(shortProblems(services(['a', 'ports = ["80:1", "80:2"]\nport = "80"'])), [
      '4:10 service[0].ports[0]: host port 80 is already taken by service[0].port',
      '4:18 service[0].ports[1]: host port 80 is already taken by service[0].port',
    ]);
  });

  test('each group has an address, so that the same port is free in another one', () => {
    const groups = '[[group]]\nname = "g"\n[[group]]\nname = "h"\n';
    const inGroup = (group: string) => `port = "80"\ngroup = "${group}"`;
    const config = parse(groups + services(['a', inGroup('g')], ['b', inGroup('h')], ['c', 'port = "80"']));
    assert.equal(config.services.length, 3);
    assert.deepEqual(shortProblems(groups + services(['a', inGroup('g')], ['b', inGroup('g')])), [
      '13:8 service[1].port: host port 80 is already taken by service[0].port',
    ]);
  });
});

describe('ports with an address', () => {
  test('may be the same on different addresses', () => {
    const text = services(['a', 'ports = ["127.0.0.1:80:80", "192.0.2.1:80:80"]'], ['b', 'port = "127.0.0.9:80:80"']);
    assert.deepEqual(
      parse(text).services.map(({ ports }) => ports.map(({ address }) => address)),
      [['127.0.0.1', '192.0.2.1'], ['127.0.0.9']],
    );
  });

  test('collide on all addresses with those on any, whichever comes first', () => {
    const group = '[[group]]\nname = "g"\n';
    const any = 'port = "0.0.0.0:80:80"';
    for (const other of ['port = "80"', 'port = "192.0.2.1:80:81"', 'group = "g"\nport = "80"']) {
      const taken = [
        ['a', other],
        ['b', any],
      ] as [string, string][];
      for (const pair of [taken, taken.toReversed()]) {
        const [problem, ...more] = shortProblems(group + services(...pair));
        assert.match(problem!, /service\[1\]\.port: host port 80 is already taken by service\[0\]\.port$/);
        assert.deepEqual(more, []);
      }
    }
    assert.equal(parse(services(['a', any], ['b', 'port = "0.0.0.0:80:80/udp"'])).services.length, 2);
  });

  test('collide with those of a group that has the address', () => {
    const text = '[[group]]\nname = "g"\naddress = "127.0.0.9"\n';
    const own = services(['a', 'port = "127.0.0.9:80:80"'], ['b', 'group = "g"\nport = "80"']);
    assert.deepEqual(shortProblems(text + own), [
      '12:8 service[1].port: host port 80 is already taken by service[0].port',
    ]);
  });

  test('may be a range for replicas', () => {
    const [, second] = parse(services(['a', 'replicas = 2\nports = ["127.0.0.1:80-81:80"]'])).services;
    assert.deepEqual(second?.ports, [{ address: '127.0.0.1', host: 81, guest: 80, protocol: 'tcp' }]);
  });
});

describe('ports of UDP', () => {
  test('are apart from those of TCP', () => {
    const [service] = parse(services(['a', 'ports = ["53:5353", "53:5353/udp", "54/tcp"]'])).services;
    assert.deepEqual(service?.ports, [
      { host: 53, guest: 5353, protocol: 'tcp' },
      { host: 53, guest: 5353, protocol: 'udp' },
      { host: 54, guest: 54, protocol: 'tcp' },
    ]);
  });

  test('can be forwarded once as well', () => {
    assert.deepEqual(shortProblems(services(['a', 'port = "53/udp"'], ['b', 'port = "53:54/udp"'])), [
      '8:8 service[1].port: host port 53/udp is already taken by service[0].port',
    ]);
  });
});

describe('isolation "none"', () => {
  test('takes neither root nor ports, and the problem gives the reason', () => {
    const text = services(['a', 'isolation = "none"\nrootfs = "r"\nport = "80"\nports = ["81"]']);
    assert.deepEqual(shortProblems(text), [
      '5:1 service[0].rootfs: a plain process (isolation "none") runs in the root file system of the host',
      '6:1 service[0].port: a plain process (isolation "none") binds its own ports; nothing is forwarded to it',
      '7:1 service[0].ports: a plain process (isolation "none") binds its own ports; nothing is forwarded to it',
    ]);
    assert.equal(problemsOf(text)[1]?.expected, 'isolation "vm", or leave the key out');
  });

  test('takes neither image, volumes nor secrets', () => {
    const keys = 'isolation = "none"\nimage = "x"\nvolumes = ["/a"]\ngroup_volumes = []\nsecrets = ["a=b"]';
    assert.deepEqual(shortProblems(services(['a', keys])), [
      '5:1 service[0].image: a plain process (isolation "none") runs in the root file system of the host',
      '6:1 service[0].volumes: a plain process (isolation "none") sees the files of the host where they are',
      '7:1 service[0].group_volumes: a plain process (isolation "none") sees the files of the host where they are',
      '8:1 service[0].secrets: a plain process (isolation "none") sees the files of the host where they are',
    ]);
  });

  test('has no disk, and reports one that is given', () => {
    assert.deepEqual(shortProblems(services(['a', 'isolation = "none"\ndisk = "1GiB"'])), [
      '5:1 service[0].disk: a plain process (isolation "none") writes to the file systems of the host',
    ]);
    for (const keys of ['', 'disk = "none"']) {
      assert.equal(parse(services(['a', `isolation = "none"\n${keys}`])).services[0]?.disk_mib, null);
    }
  });

  test('leaves the other keys as they are', () => {
    const [service] = parse(services(['a', 'isolation = "none"\nworkdir = "/tmp"\nenvs = ["A=1"]'])).services;
    assert.deepEqual([service?.isolation, service?.workdir, service?.envs], ['none', '/tmp', { A: '1' }]);
  });
});

describe('image', () => {
  test('gives the command where the config does not', () => {
    const text =
      '[[service]]\nname = "a"\nimage = "alpine"\n[[service]]\nname = "b"\nimage = "x/y:1"\ncommand = "z"\nworkdir = "/w"\n';
    assert.deepEqual(
      parse(text).services.map(({ image, command, workdir }) => [image, command, workdir]),
      [
        ['alpine', null, null],
        ['x/y:1', 'z', '/w'],
      ],
    );
  });

  test('must be the name of an image', () => {
    assert.deepEqual(shortProblems(services(['a', 'image = "Alpine"'])), [
      '4:9 service[0].image: is not the name of an image: a name has lower case letters, digits and single separators (. _ - /)',
    ]);
    assert.equal(
      problemsOf(services(['a', 'image = "x@1"']))[0]?.expected,
      'the name of an image such as "alpine:3.20"',
    );
  });

  test('does not go with a rootfs', () => {
    assert.deepEqual(shortProblems(services(['a', 'image = "x"\nrootfs = "y"'])), [
      '5:1 service[0].rootfs: the service already has an image',
    ]);
  });

  test('may be called base, and a problem names the key that was written', () => {
    assert.equal(parse(services(['a', 'base = "alpine"'])).services[0]?.image, 'alpine');
    assert.equal(parse('[defaults]\nbase = "alpine"\n[[service]]\nname = "a"\n').services[0]?.image, 'alpine');
    assert.deepEqual(shortProblems(services(['a', 'base = 1'])), [
      '4:8 service[0].base: must be a string, not a number',
    ]);
    assert.deepEqual(shortProblems(services(['a', 'isolation = "none"\nbase = "x"'])), [
      '5:1 service[0].base: a plain process (isolation "none") runs in the root file system of the host',
    ]);
    assert.deepEqual(shortProblems('[defaults]\nbase = "A"\n[[service]]\nname = "a"\n'), [
      '2:8 defaults.base: is not the name of an image: a name has lower case letters, digits and single separators (. _ - /)',
    ]);
  });

  test('may not be given by both names', () => {
    const text = services(['a', 'image = "x"\nbase = "y"']);
    assert.deepEqual(shortProblems(text), ['5:1 service[0].base: means the same as image, which is also given']);
    assert.equal(problemsOf(text)[0]?.expected, 'one of them');
  });
});

describe('[images]', () => {
  test('sets where plain HTTP is used, and how large images may be', () => {
    const { images } = parse(
      '[images]\ninsecure_registries = ["Registry.lan:5000", "localhost"]\nmax_image_size = "2GiB"\n',
    );
    assert.deepEqual(images, {
      insecure_registries: ['registry.lan:5000', 'localhost'],
      max_image_size_bytes: 2 * 2 ** 30,
    });
  });

  test('takes registries, not URLs', () => {
    const text = '[images]\ninsecure_registries = ["http://a.b", "a.b/c", "plain"]\nmax_image_size = "1KiB"\n';
    assert.deepEqual(shortProblems(text), [
      '2:24 images.insecure_registries[0]: is not a registry',
      '2:38 images.insecure_registries[1]: is not a registry',
      '2:47 images.insecure_registries[2]: is not a registry',
      '3:18 images.max_image_size: is less than 1 MiB',
    ]);
  });
});
